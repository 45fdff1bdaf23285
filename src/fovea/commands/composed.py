"""What `kedro run` with the same overrides would use: the configuration, the job and its data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.config.loader import HydraConfigLoader
    from fovea.shards import PreparedData
    from fovea.training.job import TrainJob


def loaded(overrides: Sequence[str], env: str | None) -> HydraConfigLoader:
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
    return HydraConfigLoader(project_root() / "conf", env, params, **CONFIG_LOADER_ARGS)


def composed(overrides: Sequence[str], env: str | None) -> Mapping[str, Any]:
    """The configuration as plain data; arguments and errors as those of `loaded`."""
    config: Mapping[str, Any] = loaded(overrides, env)["parameters"]
    return config


def prepared_job(overrides: Sequence[str], env: str | None) -> tuple[TrainJob, PreparedData]:
    """The training that the configuration describes, and its data; they are fetched and prepared if need be.

    Args:
        overrides: As words of the command line.
        env: Kedro's environment; None: that of `KEDRO_ENV`, or the usual one.

    Raises:
        UserError: The configuration is wrong, or does not fit the data.
        RunError: The data cannot be had, or the disk is full or not writable.
    """
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare
    from fovea.pipelines.train.nodes import SECTIONS
    from fovea.training.job import TrainJob
    from fovea.training.stage import check_fit

    config = composed(overrides, env)
    job = TrainJob.parse({name: config[name] for name in SECTIONS})
    prepared = prepare(ingest(config["data"]), config["data"], config["prepare"])
    check_fit(job, prepared)
    return job.with_classes(prepared.meta.classes).with_weights(), prepared
