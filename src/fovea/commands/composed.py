"""The configuration that `kedro run` with the same overrides would use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any


def composed(overrides: Sequence[str], env: str | None) -> Mapping[str, Any]:
    """Composes and checks `conf/` of this project.

    Args:
        overrides: As words of the command line.
        env: Kedro's environment; None: that of `KEDRO_ENV`, or the usual one.

    Raises:
        UserError: The configuration is wrong.
    """
    from fovea.config.loader import HydraConfigLoader
    from fovea.config.runtime_params import OVERRIDES_KEY
    from fovea.core.places import project_root
    from fovea.settings import CONFIG_LOADER_ARGS

    params = {OVERRIDES_KEY: list(overrides)} if overrides else {}
    env = env or os.environ.get("KEDRO_ENV")
    loader = HydraConfigLoader(project_root() / "conf", env, params, **CONFIG_LOADER_ARGS)
    config: Mapping[str, Any] = loader["parameters"]
    return config
