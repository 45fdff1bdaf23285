"""The commands' reference, from click's own help of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click

from docsite.words import cell
from fovea.cli import COMMANDS


def command(name: str) -> click.Command:
    """The click command behind `kedro NAME`, as its module has it."""
    module, _, attribute = COMMANDS[name].partition(":")
    found: click.Command = getattr(import_module(module), attribute)
    return found


def page(makefile: Path) -> str:
    """The page of all commands."""
    intro = (Path(__file__).parent / "commands_index.md").read_text(encoding="utf-8")
    own = [name for name, where in sorted(COMMANDS.items()) if where.startswith("fovea.")]
    rows = [f"| [`kedro {name}`](#kedro-{name}) | {cell(command(name).get_short_help_str(120))} |" for name in own]
    made = "\n".join(["| command | what |", "|---|---|", *rows])
    targets = "\n".join(["| target | what |", "|---|---|", *_targets(makefile)])
    parts = [intro.replace("{commands}", made).replace("{targets}", targets).rstrip("\n")]
    for name in own:
        parts += _sections(command(name), f"kedro {name}", 2)
    return "\n\n".join(parts) + "\n"


def _sections(one: click.Command, name: str, level: int) -> Iterator[str]:
    """The section of a command, and of each of its own commands."""
    context = click.Context(one, info_name=name)
    usage = " ".join(piece for piece in (name, *one.collect_usage_pieces(context)))
    yield f"{'#' * level} `{name}`\n\n```text\n{usage}\n```\n\n{_help(one.help or '')}"
    records = [param.get_help_record(context) for param in one.params if isinstance(param, click.Option)]
    rows = [f"| `{names}` | {cell(_plain(text))} |" for names, text in filter(None, records)]
    if rows:
        yield "\n".join(["| option | what |", "|---|---|", *rows])
    if isinstance(one, click.Group):
        for sub in one.list_commands(context):
            inner = one.get_command(context, sub)
            if inner is not None:
                yield from _sections(inner, f"{name} {sub}", level + 1)


def _help(text: str) -> str:
    """A command's help as Markdown: paragraphs whose lines click keeps become blocks."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        kept = re.match(r"(?:\x08|\\b)\n", paragraph)
        if kept:
            parts.append(f"```text\n{inspect.cleandoc(paragraph[kept.end() :])}\n```")
        else:
            parts.append(_plain(" ".join(paragraph.split())))
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, but for code in backticks."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([*_\[\]])", r"\\\1", piece).replace("<", "&lt;")
        for piece in pieces
    )


def _targets(makefile: Path) -> Iterator[str]:
    for name, text in re.findall(r"^([a-z-]+):[^#\n]*## (.+)$", makefile.read_text(encoding="utf-8"), re.MULTILINE):
        yield f"| `make {name}` | {cell(_plain(text))} |"
