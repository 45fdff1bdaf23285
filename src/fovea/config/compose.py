"""Hydra's composition of `conf/` to one plain dict. Nothing of Hydra's own (launcher, folders, logging) is entered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.config.groups import LAYER, LOCAL, groups
from fovea.config.overrides import Line, read
from fovea.core.errors import UserError

NAME = "config"
_LAYER_KEY = f"{LOCAL}@_global_"
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Composition:
    """A composed configuration and what made it.

    Attributes:
        config: Plain data: dicts, lists, strings, numbers, booleans, None; every reference resolved.
        choices: The member chosen of each group; None where a group is left out.
        overrides: The lines of the command line, as written.
    """

    config: dict[str, Any]
    choices: Mapping[str, str | None]
    overrides: tuple[str, ...]


def compose(conf: Path, overrides: Sequence[str] = (), env: str | None = None) -> Composition:
    """Composes `conf/config.yaml`.

    Args:
        conf: The folder of the configuration.
        overrides: Lines in Hydra's override grammar (``model=lenet5``, ``optimizer.lr=0.01``).
        env: Kedro's environment: ``<conf>/<env>/overrides.yaml``, if it is there, takes the place of that in ``local``.

    Raises:
        UserError: `conf` is broken, an override names nothing that exists, or a value is missing.

    Threads may compose at the same time; Hydra's global state is put back as it was.
    """
    known = groups(check_folder(conf))
    lines = read(overrides, known)
    from fovea.config.mistakes import check_yaml, explained

    with explained(conf, lines, env):
        config, every_choice = _compose(conf, [line.text for line in lines], env)
    choices = {group: every_choice.get(group) for group in known}
    # Hydra merges a list into the root without a word; in a section of its own the schema refuses it.
    check_yaml([conf / group / f"{name}.yaml" for group, name in choices.items() if name and group not in config], conf)
    return Composition(config, choices, tuple(overrides))


def compose_choices(conf: Path, lines: Sequence[Line], env: str | None) -> dict[str, Any]:
    """The configuration before any single value was overridden: what keys there are to override."""
    return _compose(conf, [line.text for line in lines if line.is_group], env)[0]


def check_folder(conf: Path) -> Path:
    """Returns `conf` if it can be composed at all.

    Raises:
        UserError: It is no folder or has no `config.yaml`.
    """
    if not conf.is_dir():
        raise UserError(f"the configuration '{conf}' is not a folder; name one that holds {NAME}.yaml")
    if not (conf / f"{NAME}.yaml").is_file():
        raise UserError(f"'{conf / NAME}.yaml' is missing; bring it back, as in: git checkout -- conf")
    return conf


def with_layer(conf: Path, lines: Sequence[str], env: str | None) -> list[str]:
    """Adds the line that puts an environment's own layer in the place of the local one."""
    own = env if env and env != LOCAL and (conf / env / f"{LAYER}.yaml").is_file() else None
    return [f"{_LAYER_KEY}=../{own}/{LAYER}", *lines] if own else list(lines)


@contextmanager
def initialized(conf: Path) -> Iterator[None]:
    """Hydra, initialised on `conf` for the block; an initialisation of the caller's own is put back after it."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf
    from omegaconf.resolvers import oc

    with _LOCK:
        # Kedro's OmegaConfigLoader takes this built-in resolver away for the whole process; DVC composes with it.
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
        saved = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
                yield
        finally:
            GlobalHydra.instance().hydra = saved


def _compose(conf: Path, lines: Sequence[str], env: str | None) -> tuple[dict[str, Any], dict[str, str | None]]:
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf, open_dict

    with initialized(conf):
        tree = hydra_compose(NAME, overrides=with_layer(conf, lines, env), return_hydra_config=True)
        choices = dict(tree.hydra.runtime.choices)
        with open_dict(tree):
            tree.pop("hydra")
        config = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
    if not isinstance(config, dict):
        raise UserError(f"'{conf / NAME}.yaml' is not a mapping; it must hold keys and values")
    return {str(key): value for key, value in config.items()}, choices
