"""The lines that a user writes behind a command: read, and refused in one sentence where they cannot be meant."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fovea.core.errors import UserError, nearest

EXAMPLE = "write key=value, as in optimizer.lr=0.01 or model=lenet5"


class Line(NamedTuple):
    """One override.

    Attributes:
        text: As Hydra takes it.
        key: The group or the dotted key.
        value: What it is set to.
        is_group: It chooses a member of a group.
    """

    text: str
    key: str
    value: Any
    is_group: bool


def read(lines: Sequence[str], known: Mapping[str, Sequence[str]]) -> list[Line]:
    """Reads overrides and checks everything that can be said without composing.

    Args:
        lines: Hydra's override grammar, one override each.
        known: The groups and their members.

    Returns:
        The overrides in order; of several choices for one group only the last. ``experiment=null`` takes one out.

    Raises:
        UserError: A line cannot be read, is a sweep, or names an unknown member.
    """
    parsed = [_read_one(line, known) for line in lines]
    last = {line.key: index for index, line in enumerate(parsed) if line.is_group}
    return [line for index, line in enumerate(parsed) if not line.is_group or last[line.key] == index]


def _read_one(text: str, known: Mapping[str, Sequence[str]]) -> Line:
    override = _parse(text)
    key: str = override.key_or_group
    if override.is_sweep_override():
        quoted = shlex.quote(text)
        raise UserError(
            f"'{text}' gives several values and one run takes one; "
            f"queue a run for each: dvc exp run --queue -S {quoted} && dvc queue start"
        )
    if override.package is not None:
        raise UserError(f"override '{text}' moves a group to another place; write {key}=MEMBER without '@'")
    if not key:
        raise UserError(f"override '{text}' names no key; {EXAMPLE}")
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        raise UserError(f"override '{text}' is a setting of Hydra's launcher, which is not used here; leave it out")
    value = override.value()
    if key in known and not isinstance(value, dict):
        return _choice(text, key, value, known[key], delete=override.is_delete(), plain=text.startswith(key))
    group, _, last = key.rpartition(".")
    if last == "name" and value in known.get(group, ()):
        raise UserError(f"override '{text}' changes the name alone; choose the member: {group}={value}")
    return Line(text, key, value, is_group=False)


def _parse(text: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        if "=" not in text:
            raise UserError(
                f"override '{text}' has no value; {EXAMPLE} (a pipeline is run by --pipelines=NAME)"
            ) from error
        raise UserError(
            f"override '{text}' cannot be read; {EXAMPLE}, and quote what is not plain: key='\"a, b\"'"
        ) from error


def _choice(text: str, group: str, value: Any, members: Sequence[str], *, delete: bool, plain: bool) -> Line:
    if delete or value is None:
        return Line(f"~{group}", group, None, is_group=True)
    if value in members and plain:
        return Line(text, group, value, is_group=True)
    if value in members:
        raise UserError(f"override '{text}' has a sign too many; write {group}={value}")
    shown = text.partition("=")[2]
    raise UserError(f"unknown {group} '{shown}'{nearest(str(value), members)}")
