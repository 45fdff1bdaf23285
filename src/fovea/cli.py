"""The project's commands. Kedro finds `cli` and adds it to its own; the console script `fovea` is `main`.

Commands are imported only when they are asked for, so that `kedro registry list` stays quick.
"""

from __future__ import annotations

import copy
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = {
    "run": "fovea.commands.run:command",
    "config": "fovea.commands.config:command",
    "preview": "fovea.commands.preview:command",
    "describe-model": "fovea.commands.describe_model:command",
    "compare": "fovea.commands.compare:command",
    "find-lr": "fovea.commands.find_lr:command",
    "find-batch-size": "fovea.commands.find_batch_size:command",
    "tune": "fovea.commands.tune:command",
    "register": "fovea.commands.register:command",
    "promote": "fovea.commands.promote:command",
    "reproduce": "fovea.commands.reproduce:command",
    "ui": "fovea.commands.ui:command",
    "dvc-yaml": "fovea.commands.dvc_yaml:command",
    "tracking-sync": "fovea.commands.sync:command",
    "submit": "fovea.commands.submit:command",
    "package": "fovea.commands.package:command",
    # Kedro's own; it composes the configuration, whose mistakes are told as for the others.
    "catalog": "kedro.framework.cli.catalog:catalog",
}


class LazyGroup(click.Group):
    """A group whose commands stand in a table of ``name: "module:attribute"``.

    Whatever ends a command is told in one sentence, with the exit code that belongs to it.
    """

    def __init__(self, table: Mapping[str, str], **rest: Any) -> None:
        super().__init__(**rest)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, sorted."""
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command."""
        return load(self.table[cmd_name]) if cmd_name in self.table else None


def load(where: str) -> click.Command:
    """The command at ``"module:attribute"``, which tells its errors as `fovea.commands.outcome` says them."""
    from fovea.commands.outcome import told

    module, _, name = where.partition(":")
    command: click.Command = copy.copy(getattr(import_module(module), name))
    # Click keeps the lines of a paragraph that begins with a backspace; docstrings here are raw and write it as \b.
    command.help = (command.help or "").replace("\\b\n", "\b\n") or None
    command.make_context = told()(command.make_context)  # type: ignore[method-assign]
    command.invoke = told()(command.invoke)  # type: ignore[method-assign]
    return command


cli = LazyGroup(
    COMMANDS, name="fovea", context_settings={"help_option_names": ["-h", "--help"]}, help="Fovea's commands."
)


def __getattr__(name: str) -> click.Command:
    """Kedro asks the module for `run` where it runs a project as a package."""
    if name == "run":
        return load(COMMANDS["run"])
    raise AttributeError(f"module 'fovea.cli' has no attribute '{name}'")


def main() -> None:
    """The console script `fovea`: the project's commands without Kedro's own, from anywhere if `FOVEA_ROOT` is set."""
    from fovea.core.errors import UserError
    from fovea.core.places import project_root

    try:
        root = project_root()
    except UserError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    if root not in (Path.cwd().resolve(), *Path.cwd().resolve().parents):
        os.chdir(root)  # Kedro looks for the project from the working directory
    # From a folder below the root Kedro would not find it, and would begin by a line on standard output.
    os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(root / "conf" / "logging.yml"))
    from kedro.framework.startup import bootstrap_project

    cli(obj=bootstrap_project(root), prog_name="fovea")
