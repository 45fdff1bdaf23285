"""From plain data to a typed section, and from pydantic's errors to one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, overload

from pydantic import BaseModel, TypeAdapter, ValidationError

from fovea.core.errors import UserError, nearest

_M = TypeVar("_M", bound=BaseModel)

_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text (in quotes, if it looks like a number)",
    "string_too_short": "text that is not empty",
    "list_type": "a list",
    "dict_type": "a group of keys",
    "model_type": "a group of keys",
    "model_attributes_type": "a group of keys",
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
}
PATTERNS = {
    "^[A-Za-z0-9]": "a name of letters, digits, '.', '_' and '-'",
    "^[0-9a-f]{32}": "32 hexadecimal digits",
    "^[0-9a-f]{64}": "64 hexadecimal digits",
    "^n[0-9]": "a WordNet id, as in n01440764",
    "^(https?|file)": "an address that begins with http://, https:// or file://",
}


class ConfigError(UserError):
    """A value of the configuration is wrong.

    Attributes:
        key: Its dotted key.
    """

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


@overload
def parse(model: type[_M], raw: Mapping[str, Any], where: str) -> _M: ...
@overload
def parse(model: Any, raw: Mapping[str, Any], where: str) -> Any: ...
def parse(model: Any, raw: Mapping[str, Any], where: str) -> Any:
    """Makes a section of the configuration from plain data.

    Args:
        model: A section's class, or `OptimizerConfig` or `ScheduleConfig`.
        raw: The section's keys and values.
        where: The dotted key of the section, as in ``"trainer"``; ``""`` for the whole configuration.

    Raises:
        ConfigError: Something in `raw` is wrong; the sentence names the first problem and the way out.
    """
    try:
        return _adapter(model).validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key, sentence = _sentence(first, raw, where)
    raise ConfigError(key, sentence)


@lru_cache(maxsize=64)
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _sentence(problem: Mapping[str, Any], raw: Any, where: str) -> tuple[str, str]:
    """The dotted key and the sentence of one of pydantic's errors."""
    kind: str = problem["type"]
    context: dict[str, Any] = problem.get("ctx") or {}
    key = _dotted(where, _path(problem["loc"], raw))
    if kind == "unknown_key":
        unknown = _dotted(key, [context["key"]])
        return unknown, f"unknown key '{unknown}' = {show(problem['input'][context['key']])}{context['way_out']}"
    if kind == "missing":
        return key, f"'{key}' has no value; set it in conf/ or as an override: {key}=VALUE"
    if kind == "union_tag_not_found":
        return f"{key}.name", f"'{key}.name' has no value; set it in conf/ or as an override: {key}.name=VALUE"
    if kind == "union_tag_invalid":
        known = _quoted(context["expected_tags"])
        return f"{key}.name", f"unknown {key} '{context['tag']}'{nearest(str(context['tag']), known)}"
    if kind == "literal_error":
        known = _quoted(context["expected"])
        hint = nearest(str(problem["input"]), known)
        hint = hint if "did you mean" in hint else ""
        return key, f"'{key}' = {show(problem['input'])} is wrong: it must be {context['expected']}{hint}"
    return key, f"'{key}' = {show(problem['input'])} is wrong: it must be {_expected(kind, context, problem['msg'])}"


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind == "string_pattern_mismatch":
        return next((words for start, words in PATTERNS.items() if context["pattern"].startswith(start)), message)
    if kind == "value_error":
        return str(context["error"])
    if kind in _KINDS:
        return _KINDS[kind].format(**context)
    return message[:1].lower() + message[1:]


def _path(loc: tuple[int | str, ...], raw: Any) -> list[str | int]:
    """The keys of `loc` without the names that pydantic puts in for the member of a union."""
    path: list[str | int] = []
    here = raw
    for part in loc:
        if isinstance(here, Mapping) and part not in here and part == here.get("name"):
            continue
        path.append(part)
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int):
            here = here[part]
    return path


def _dotted(where: str, path: list[str | int]) -> str:
    key = where
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _quoted(listing: str) -> list[str]:
    return [part for part in listing.split("'") if part not in ("", ", ", " or ")]


def show(value: Any) -> str:
    """A value in a sentence, as it stands in YAML, cut to 60 characters."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
