"""`kedro config`: the composed configuration, and where each value comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import click

_COLUMN = 30


@click.command()
@click.argument("overrides", nargs=-1)
@click.option("--origin", is_flag=True, help="Show the file that gave each value.")
@click.option(
    "--env", "-e", default=None, help="Kedro's environment; its overrides.yaml takes the place of conf/local's."
)
def command(overrides: tuple[str, ...], origin: bool, env: str | None) -> None:
    r"""Print the configuration that `kedro run` with the same OVERRIDES would use, as YAML.

    \b
      kedro config model=deep_mnist optimizer.lr=0.01
      kedro config --origin experiment=mnist_fast
    """
    from fovea.commands.composed import composed
    from fovea.config.loader import PARAMS_FILE
    from fovea.config.origin import origin_of, origins
    from fovea.config.params_stage import dump
    from fovea.core.places import project_root

    config = composed(overrides, env)
    if not origin:
        click.echo(dump(config), nl=False)
        return
    in_stage = bool(os.environ.get("DVC_STAGE"))
    found = {} if in_stage else origins(project_root() / "conf", overrides, env or os.environ.get("KEDRO_ENV"))
    for key, line in _lines(config):
        origin_shown = PARAMS_FILE if in_stage else origin_of(key, found)
        click.echo(f"{line:{_COLUMN}}  # {origin_shown}" if key else line)


def _lines(config: Mapping[str, Any], prefix: str = "", indent: str = "") -> Iterator[tuple[str, str]]:
    """The lines of a configuration as YAML, a value a line, each with its dotted key (empty above a section)."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield "", f"{indent}{_inline(name)}:"
            yield from _lines(value, f"{prefix}{name}.", f"{indent}  ")
        else:
            yield f"{prefix}{name}", f"{indent}{_inline(name)}: {_inline(value)}"


def _inline(value: Any) -> str:
    """A value as YAML on one line, written as `kedro config` writes it without origins."""
    import yaml
    from omegaconf._utils import get_omega_conf_dumper

    text: str = yaml.dump(
        value, Dumper=get_omega_conf_dumper(), default_flow_style=True, width=10**6, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()
