"""From a list of configuration entries to albumentations transforms, with every mistake told in one sentence."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from fovea.core.errors import UserError, nearest

_PREFIX = "albumentations."


def make(entries: Sequence[Mapping[str, Any]], where: str, *, always: bool = False) -> list[Any]:
    """Makes the transforms of a list; an argument `transforms` (of `OneOf` and its like) is such a list again.

    Args:
        entries: Each has `_target_`, ``"albumentations.<name>"``, and the transform's arguments.
        where: The list's place in the configuration, for messages.
        always: Gives every transform the probability 1.

    Raises:
        UserError: An entry names no albumentations transform, or has an argument that the transform does not take.
    """
    return [_one(entry, f"{where}[{i}]", always) for i, entry in enumerate(entries)]


def _one(entry: Mapping[str, Any], where: str, always: bool) -> Any:
    target = entry.get("_target_")
    if not isinstance(target, str):
        raise UserError(f"{where} has no _target_; add one such as albumentations.HorizontalFlip")
    kind = _kind(target, where)
    known = [name for name in inspect.signature(kind).parameters if name not in ("self", "seed")]
    arguments = {name: value for name, value in entry.items() if name != "_target_"}
    for name in arguments:
        if name not in known:
            raise UserError(f"{where} {target} takes no argument '{name}'{nearest(name, known)}")
    if "transforms" in known:
        inner = arguments.get("transforms")
        if not isinstance(inner, Sequence) or not inner or not all(isinstance(item, Mapping) for item in inner):
            raise UserError(f"{where} {target} needs transforms, a list of entries that each have a _target_")
        arguments["transforms"] = make(inner, f"{where}.transforms", always=always)
    if always and "p" in known:
        arguments["p"] = 1.0
    return _construct(kind, arguments, f"{where} {target}")


def _kind(target: str, where: str) -> type:
    import albumentations

    bases = (albumentations.BasicTransform, albumentations.BaseCompose)
    found = getattr(albumentations, target.removeprefix(_PREFIX), None) if target.startswith(_PREFIX) else None
    if isinstance(found, type) and issubclass(found, bases):
        return found
    kinds = {name: value for name, value in vars(albumentations).items() if isinstance(value, type)}
    known = [name for name, value in kinds.items() if issubclass(value, bases)]
    close = difflib.get_close_matches(target.rpartition(".")[2], known, n=1)
    hint = f"did you mean '{_PREFIX}{close[0]}'?" if close else f"name one, as in {_PREFIX}Affine"
    raise UserError(f"{where} '{target}' is not an albumentations transform; {hint}")


def _construct(kind: type, arguments: Mapping[str, Any], where: str) -> Any:
    with warnings.catch_warnings():
        # albumentations falls back to its defaults with no more than a warning.
        warnings.simplefilter("error", UserWarning)
        try:
            return kind(**arguments)
        except (ValueError, TypeError, UserWarning) as error:
            raise UserError(f"{where} refuses its arguments: {first_sentence(error)}") from error


def first_sentence(error: BaseException) -> str:
    """What an error of albumentations or pydantic says, on one line."""
    cause = error.__cause__
    details = getattr(cause, "errors", None)
    if callable(details):
        first = details()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return " ".join(str(error).split()) or type(error).__name__
