"""Kedro's config loader with Hydra inside: the key `parameters` is composed, everything else stays Kedro's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kedro.config import OmegaConfigLoader
from yaml import YAMLError

from fovea.config.compose import Composition, check_folder, compose
from fovea.config.groups import BASE, LOCAL, environments, groups
from fovea.config.mistakes import check_yaml
from fovea.config.runtime_params import as_overrides
from fovea.core.errors import UserError, nearest

if TYPE_CHECKING:
    from fovea.config.schema import Config

PARAMS_FILE = "params.yaml"
"""At the project's root: the composition that DVC works with."""


class HydraConfigLoader(OmegaConfigLoader):
    """Composes `parameters` at once, so that a mistake is told before anything has started.

    Inside a stage of DVC (`DVC_STAGE` is set) `parameters` is what `params.yaml` holds: DVC has composed it.

    Args:
        conf_source: The folder of the configuration.
        env: Kedro's environment.
        runtime_params: Plain values, nested; override lines under `overrides` (see `fovea.config.runtime_params`).
        checks: Functions that see the whole typed configuration, each as ``"module:name"``. They refuse by a
            `UserError` what no section can refuse alone.
        rest: As `OmegaConfigLoader` takes it.

    Attributes:
        composition: The plain configuration, the members chosen and the override lines.
        config: The same, typed.

    Raises:
        UserError: The configuration cannot be composed or is not valid.
    """

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        *,
        checks: Iterable[str] = (),
        **rest: Any,
    ) -> None:
        conf = check_folder(Path(conf_source))
        _check_environment(conf, env or rest.get("default_run_env") or LOCAL)
        super().__init__(str(conf), env, runtime_params, **rest)
        params = dict(runtime_params or {})
        if os.environ.get("DVC_STAGE"):
            self.composition = _from_dvc(conf.parent / PARAMS_FILE, params)
        else:
            lines = as_overrides(params, groups(conf))
            self.composition = compose(conf, lines, env)
        self.config = self._checked(conf, checks)
        self["parameters"] = self.composition.config

    def __getitem__(self, key: str) -> dict[str, Any]:
        """As `OmegaConfigLoader`, but a broken file is a `UserError` that names it."""
        try:
            found: dict[str, Any] = super().__getitem__(key)
        except (YAMLError, UnicodeDecodeError):
            conf = Path(self.conf_source)
            check_yaml(
                [path for folder in (BASE, self.env or LOCAL) for path in sorted((conf / folder).glob("**/*.yml"))],
                conf,
            )
            raise
        return found

    def _checked(self, conf: Path, checks: Iterable[str]) -> Config:
        from fovea.config.origin import COMMAND_LINE, origin_of, origins
        from fovea.config.schema import Config, ConfigError, parse

        try:
            config = parse(Config, self.composition.config, "")
        except ConfigError as error:
            if os.environ.get("DVC_STAGE"):
                where: str | None = PARAMS_FILE
            else:
                where = origin_of(error.key, origins(conf, self.composition.overrides, self.env))
            if where in (None, COMMAND_LINE):
                raise
            if error.key in self.composition.choices and error.key not in Config.model_fields:
                raise UserError(
                    f"{where} lacks the first line '# @package _global_', without which it sets nothing"
                ) from error
            raise ConfigError(error.key, f"{where}: {error}") from error
        for check in checks:
            module, _, name = check.partition(":")
            getattr(import_module(module), name)(config)
        return config


def _check_environment(conf: Path, env: str) -> None:
    if not (conf / env).is_dir():
        known = environments(conf)
        raise UserError(f"unknown environment '{env}': there is no folder {conf.name}/{env}{nearest(env, known)}")


def _from_dvc(path: Path, params: Mapping[str, Any]) -> Composition:
    from omegaconf import OmegaConf

    if params:
        raise UserError(
            f"inside a DVC stage the configuration is that of {path.name} and takes no overrides; "
            "give them to DVC, as in: dvc exp run -S optimizer.lr=0.01"
        )
    if not path.is_file():
        raise UserError(f"{path.name} is missing; write it with: dvc repro params")
    check_yaml([path], path.parent)
    config = cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(path), resolve=True))
    # DVC does not say what was chosen; a section's own name comes nearest.
    choices = {key: value["name"] for key, value in config.items() if isinstance(value, dict) and "name" in value}
    return Composition(config, choices, ())
