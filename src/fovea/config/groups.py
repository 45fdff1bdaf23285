"""What `conf/` offers: config groups with their members, and environments."""

from __future__ import annotations

from pathlib import Path

BASE = "base"
LOCAL = "local"
TUNE = "tune"
"""The folder of search spaces, which are composed into nothing: neither a group nor an environment."""
LAYER = "overrides"
"""The file of an environment that is composed into the parameters: `conf/<environment>/overrides.yaml`."""

_NEITHER = (BASE, TUNE)


def groups(conf: Path) -> dict[str, list[str]]:
    """The config groups below `conf` and the members of each, sorted.

    An environment's own layer is no member, so that an environment is no group.
    """
    found = {}
    for folder in _folders(conf):
        members = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != LAYER)
        if members and folder.name not in _NEITHER:
            found[folder.name] = members
    return found


def environments(conf: Path) -> list[str]:
    """The environments that ``--env`` may name: the folders of `conf` that are no group, without `base` and `tune`."""
    known = groups(conf)
    return [folder.name for folder in _folders(conf) if folder.name not in known and folder.name not in _NEITHER]


def _folders(conf: Path) -> list[Path]:
    return sorted(path for path in conf.iterdir() if path.is_dir() and not path.name.startswith("."))
