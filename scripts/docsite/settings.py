"""The configuration's reference: every key with its type, default and meaning, from the schema and from `conf/`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from docsite.members import member_pages, members
from docsite.words import cell, kind, sentence, shown
from fovea.config.compose import compose
from fovea.config.groups import groups
from fovea.config.schema import Config

_NO_DEFAULT = object()


class Key(NamedTuple):
    """One key of the configuration.

    Attributes:
        name: Dotted, as on the command line.
        kind: What values it takes, in words.
        default: Its value as YAML writes it; "" where none is set.
        meaning: A sentence or two.
    """

    name: str
    kind: str
    default: str
    meaning: str


def pages(conf: Path) -> dict[str, str]:
    """The pages of the reference: their paths on the site below `reference/config/` and their text."""
    plain = compose(conf)
    found = {"index.md": _index(conf)}
    for section, field in Config.model_fields.items():
        if _models(field.annotation):
            choice = plain.choices.get(section)
            source = f"{section}/{choice}.yaml" if choice else "config.yaml"
            found[f"{section}.md"] = _section(conf, section, field, plain.config[section], source)
    return found | member_pages(conf, [group for group in groups(conf) if group not in Config.model_fields])


def keys(model: type[BaseModel], values: Mapping[str, Any], prefix: str, comments: Mapping[str, str]) -> Iterator[Key]:
    """The keys of a section and of the sections in it, in the order of the schema.

    Args:
        model: The section's class.
        values: What `conf/` sets.
        prefix: The section's dotted name.
        comments: What the file that sets them says of keys, for those of which the schema's docstring says nothing.

    Raises:
        LookupError: Nothing says what a key means.
    """
    said = meanings(model)
    for name, field in model.model_fields.items():
        dotted = f"{prefix}.{name}"
        inner = _models(field.annotation)
        if inner and inner[0] is field.annotation:
            yield from keys(inner[0], values.get(name, {}), dotted, comments)
            continue
        meaning = said.get(name) or comments.get(dotted)
        if not meaning and not _only(field):
            raise LookupError(f"no docstring and no comment in conf/ says what '{dotted}' means")
        default = values.get(name, _NO_DEFAULT if field.is_required() else field.get_default(call_default_factory=True))
        yield Key(
            dotted, kind(_schema(field)), "" if default is _NO_DEFAULT else shown(default), sentence(meaning or "")
        )


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a class and of those that it inherits from say of its attributes."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        listed = inspect.cleandoc(one.__dict__.get("__doc__") or "").partition("\nAttributes:\n")[2]
        for name, text in re.findall(r"^ {4}(\w+): ((?:.+\n?)(?: {8}.+\n?)*)", listed, re.MULTILINE):
            found[name] = " ".join(text.split())
    return found


def comments(path: Path, prefix: str = "") -> dict[str, str]:
    """The comments at the ends of a YAML file's lines, by dotted key."""
    found: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"^( *)(\w+):(.*)$", line)
        if not match:
            continue
        indent = len(match.group(1))
        stack = [*(one for one in stack if one[0] < indent), (indent, match.group(2))]
        comment = re.search(r"(?:^|\s)# (.+)$", match.group(3))
        if comment:
            found[".".join([*([prefix] if prefix else []), *(name for _, name in stack)])] = comment.group(1)
    return found


def _section(conf: Path, section: str, field: FieldInfo, values: Mapping[str, Any], source: str) -> str:
    """The page of one section."""
    models = _models(field.annotation)
    lines = [f"# `{section}`", ""]
    if len(models) == 1:
        said = comments(conf / source, "" if source == "config.yaml" else section)
        lines += [_about(models[0]), "", *_table(keys(models[0], values, section, said)), ""]
    else:
        lines += [f"Each `{section}=` has keys of its own.", ""]
        for model in models:
            name = _tag(model)
            of_it = compose(conf, [f"{section}={name}"]).config[section]
            said = comments(conf / section / f"{name}.yaml", section)
            lines += [f"## `{section}={name}`", "", _about(model), ""]
            lines += [*_table(key for key in keys(model, of_it, section, said) if key.name != f"{section}.name"), ""]
    if section in groups(conf):
        lines += [f"## What `{section}=` takes", "", *members(conf, section, source), ""]
    return "\n".join(lines)


def _table(rows: Iterator[Key]) -> list[str]:
    head = ["| key | values | default | meaning |", "|---|---|---|---|"]
    return head + [
        f"| `{key.name}` | {cell(key.kind)} | {f'`{cell(key.default)}`' if key.default else ''} | {cell(key.meaning)} |"
        for key in rows
    ]


def _index(conf: Path) -> str:
    known = groups(conf)
    text = (Path(__file__).parent / "config_index.md").read_text(encoding="utf-8")
    rows = ["| section | what | choose by |", "|---|---|---|"]
    for section, field in Config.model_fields.items():
        models = _models(field.annotation)
        if models:
            about = _about(models[0]) if len(models) == 1 else f"The {section}: each kind has keys of its own."
            choose = f"`{section}={known[section][0]}`, ..." if section in known else ""
            rows.append(f"| [`{section}`]({section}.md) | {cell(about)} | {choose} |")
    presets = [group for group in known if group not in Config.model_fields]
    rows += [
        f"| [`{group}`]({group}.md) | Presets over several sections | `{group}={known[group][0]}`, ... |"
        for group in presets
    ]
    seed = meanings(Config)["seed"]
    rows.append(
        f"| `seed` | {cell(seed)} Default `{yaml.safe_load((conf / 'config.yaml').read_text())['seed']}` | `seed=1` |"
    )
    return text.replace("{sections}", "\n".join(rows))


def _about(model: type[BaseModel]) -> str:
    """The docstring of a section without its attributes, as one paragraph."""
    return sentence(" ".join(inspect.cleandoc(model.__doc__ or "").partition("\nAttributes:\n")[0].split()))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The section classes of a type: itself, or the members of a union of sections."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = get_args(annotation)
    is_union = inner and all(inspect.isclass(one) and issubclass(one, BaseModel) for one in inner)
    return list(inner) if is_union else []


def _only(field: FieldInfo) -> bool:
    """Whether a key takes one value alone: the name that tells the members of a union apart."""
    return "const" in _schema(field)


def _tag(model: type[BaseModel]) -> str:
    return str(_schema(model.model_fields["name"])["const"])


def _schema(field: FieldInfo) -> dict[str, Any]:
    """The JSON schema of a key without its validators, of which pydantic knows no schema."""
    annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(annotation).json_schema()
