"""Kedro's settings of the project. Read by every command, so nothing heavy is imported here."""

from __future__ import annotations

import logging

from fovea.config import logs
from fovea.config.loader import HydraConfigLoader
from fovea.core.errors import UserError
from fovea.hooks import ProjectHooks

HOOKS = (ProjectHooks(),)

CONFIG_LOADER_CLASS = HydraConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # What no section of the configuration can refuse alone; each takes the whole of it.
    "checks": [
        "fovea.datasets.registry:check",
        "fovea.models.registry:check",
        "fovea.training.finetune:check",
        "fovea.training.checks:check",
    ],
}

# Our own packages ask nobody for consent to telemetry; see also the environment set by `fovea/__init__.py`.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)

try:
    logs.configure()
except UserError as error:  # a command that logs says it again and ends; looking around must stay possible
    logging.getLogger("fovea").warning("%s", error)
