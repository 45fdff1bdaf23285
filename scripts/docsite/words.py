"""Types and values in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from fovea.config.schema.parse import PATTERNS

_PLAIN = {"boolean": "`true` or `false`", "null": "`null`", "string": "text", "object": "keys and values"}
_LONGEST = 60


def kind(schema: Mapping[str, Any]) -> str:
    """What values a JSON schema takes, in words."""
    if "anyOf" in schema:
        return ", or ".join(kind(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    name = schema.get("type")
    if name in ("integer", "number"):
        return f"{'whole number' if name == 'integer' else 'number'}{_range(schema)}"
    if name == "array":
        return _list(schema)
    if name == "string" and "pattern" in schema:
        return next((words for start, words in PATTERNS.items() if schema["pattern"].startswith(start)), "text")
    return _PLAIN.get(str(name), "anything")


def _list(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    count = f" of {least}" if least and least == most else f" of at least {least}" if least else ""
    return f"list{count}: {kind(schema.get('items', {}))}"


def _range(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    parts = [f"{words} {_number(schema[name])}" for name, words in signs.items() if name in schema]
    return " " + " ".join(parts) if parts else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def shown(value: Any) -> str:
    """A value as one writes it in YAML or on a command line; `...` for one that is long."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()
    text = text.removesuffix("...").strip()
    return text if len(text) <= _LONGEST else "..."


def sentence(text: str) -> str:
    """A comment or the line of a docstring as a sentence for users of YAML, who write null for None."""
    text = re.sub(r"\bNone\b", "`null`", text.strip())
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', ':')) else '.'}" if text else ""


def cell(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
