"""Which file, or the command line, gave each value of a composition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fovea.config.compose import NAME, initialized, with_layer
from fovea.config.groups import groups
from fovea.config.mistakes import shown
from fovea.config.overrides import read

COMMAND_LINE = "command line"


def origins(conf: Path, overrides: Sequence[str] = (), env: str | None = None) -> dict[str, str]:
    """Tells where values come from.

    Args:
        conf: The folder of the configuration.
        overrides: As given to `compose`, which must have accepted them.
        env: As given to `compose`.

    Returns:
        Dotted key of every value and of every section -> ``"conf/model/lenet5.yaml"`` or ``"command line"``.
    """
    from omegaconf import OmegaConf

    lines = read(overrides, groups(conf))
    found: dict[str, str] = {}
    for path, package in _files(conf, [line.text for line in lines if line.is_group], env):
        content = OmegaConf.to_container(OmegaConf.load(path))
        if isinstance(content, dict):
            content.pop("defaults", None)
            found |= dict.fromkeys([package, *_keys(content, package)], shown(path, conf))
    for line in lines:
        if not line.is_group:
            found |= dict.fromkeys([line.key, *_keys(line.value, line.key)], COMMAND_LINE)
    return found


def origin_of(key: str, found: Mapping[str, str]) -> str | None:
    """The origin of a dotted key, or else of the section nearest above it."""
    while key:
        if key in found:
            return found[key]
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return None


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys of a configuration with their values; a list and an empty section count as one value."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _files(conf: Path, choices: Sequence[str], env: str | None) -> Iterator[tuple[Path, str]]:
    """The files of a composition in the order in which they are merged, each with the section that it fills."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    with initialized(conf):
        loader = GlobalHydra.instance().config_loader()
        result = loader.compute_defaults_list(NAME, with_layer(conf, choices, env), RunMode.RUN)
    for default in result.defaults:
        path = conf / f"{default.config_path}.yaml"
        if path.is_file():
            yield path, default.package or ""


def _keys(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            key = f"{prefix}.{name}" if prefix else str(name)
            yield key
            yield from _keys(inner, key)
