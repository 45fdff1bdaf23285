"""`kedro package`, without a user's own settings."""

from __future__ import annotations

import os
from typing import Any

import click
from kedro.framework.cli.project import package as kedro_package


class _PackageCommand(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        """Runs Kedro's command; it leaves `local/*.yml` out of the archive of conf/, and not `local/overrides.yaml`."""
        os.environ["TAR_OPTIONS"] = f"{os.environ.get('TAR_OPTIONS', '')} --exclude=local/*.yaml".strip()
        return super().invoke(ctx)


command = _PackageCommand(
    name="package", params=kedro_package.params, callback=kedro_package.callback, help=kedro_package.help
)
