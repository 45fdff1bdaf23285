"""Kedro's runtime parameters (``--params``, ``KedroSession.create(runtime_params=...)``) as overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fovea.core.errors import UserError

OVERRIDES_KEY = "overrides"
"""The runtime parameter that carries override lines: ``runtime_params={"overrides": ["model=deep_mnist"]}``."""

# Read back by Hydra as the same text; everything else is quoted.
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_NOT_TEXT = {"true", "false", "null", "nan", "inf", "yes", "no", "on", "off"}


def as_overrides(params: Mapping[str, Any], groups: Collection[str]) -> list[str]:
    """Override lines that say what the runtime parameters say.

    Args:
        params: Nested plain values; the lines under `OVERRIDES_KEY` come last, so that they win.
        groups: The config groups, of which none can be chosen here.

    Raises:
        UserError: A value would be lost or misread: a choice of a group, a list.
    """
    values = {key: value for key, value in params.items() if key != OVERRIDES_KEY}
    for key, value in values.items():
        group = key.lstrip("+~")
        if group in groups and not isinstance(value, Mapping):
            raise UserError(choice_refused(group, value))
        if group != key:
            raise UserError(
                f"--params takes plain values and '{key}' is none; write it as an override: kedro run '{key}=...'"
            )
    lines = params.get(OVERRIDES_KEY) or []
    return [*_lines("", values), *([lines] if isinstance(lines, str) else map(str, lines))]


def choice_refused(group: str, value: Any) -> str:
    """The sentence on a group chosen by ``--params``, which Kedro would lose beside a value of the same group."""
    return f"--params cannot choose a member of '{group}'; write it as an override: kedro run {group}={value}"


def list_refused(key: str) -> str:
    """The sentence on a list in ``--params``, which Kedro would cut at its commas."""
    return f"--params takes no list for '{key}'; write it as an override: kedro run '{key}=[...]'"


def _lines(prefix: str, values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _lines(f"{key}.", value)
        elif isinstance(value, list | tuple):
            raise UserError(list_refused(key))
        else:
            yield f"{key}={written(value)}"


def written(value: Any) -> str:
    """A value, also a list or a section, as it stands in an override, which reads it back as the same."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{written(item)}' for key, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value) if math.isfinite(value) else str(value)
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.single).with_quotes()
