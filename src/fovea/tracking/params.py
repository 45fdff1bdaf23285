"""A nested config as MLflow's flat parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 500
_FOREIGN = re.compile(r"[^\w\-./: ]")


def cut(text: str, length: int = LONGEST) -> str:
    """The text, at most `length` characters long; an ellipsis at its end says that something is missing."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def flatten(values: Mapping[str, Any]) -> dict[str, str]:
    """Dotted names to texts; lists as JSON, long values cut."""
    return {_FOREIGN.sub("_", name): cut(_text(value)) for name, value in _leaves(values, "")}


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)
