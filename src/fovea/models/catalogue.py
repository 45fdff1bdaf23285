"""The names of timm's and torchvision's networks, read from their sources: importing either would take seconds."""

from __future__ import annotations

import difflib
import importlib.util
import re
from functools import cache
from pathlib import Path

from fovea.core.errors import UserError

# Both libraries register a network by a decorator above the function of its name.
_REGISTERED = {
    "timm": re.compile(r"^@register_model\ndef (\w+)\(", re.MULTILINE),
    "torchvision": re.compile(r"^@register_model\(\)\n(?:@.*\n(?:[ )].*\n)*)*def (\w+)\(", re.MULTILINE),
}


@cache
def names(library: str) -> frozenset[str]:
    """The networks for classification that the installed library has.

    Args:
        library: ``timm`` or ``torchvision``.
    """
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        return frozenset()
    files = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    return frozenset(name for path in files for name in _REGISTERED[library].findall(path.read_text(encoding="utf-8")))


def check_name(library: str, name: str) -> None:
    """Refuses a name that the library does not know; what follows a dot in timm's names tells weights apart.

    Raises:
        UserError: The library has no such network; the sentence has the nearest names.
    """
    known = names(library)
    bare = name.partition(".")[0] if library == "timm" else name
    if bare not in known:
        near = difflib.get_close_matches(bare, sorted(known), n=5, cutoff=0.0)
        raise UserError(f"model.name '{name}' is none of {library}'s {len(known)} networks; nearest: {', '.join(near)}")


def libraries_with(name: str) -> list[str]:
    """The libraries that have a network of that name."""
    return [library for library in _REGISTERED if name.partition(".")[0] in names(library)]
