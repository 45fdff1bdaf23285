"""One encoded picture of a task: read from the source and looked at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fovea.core.errors import RunError
from fovea.datasets.members import MemberError, Members

if TYPE_CHECKING:
    from fovea.pictures import Examined
    from fovea.shards.tasks import Task

_NO_LABEL = "no_label"


@dataclass(frozen=True)
class Usable:
    """A picture that goes into the shard: its bytes, their sha256, and what is known of it."""

    data: bytes
    digest: bytes
    examined: Examined


@dataclass(frozen=True)
class Unusable:
    """A picture that cannot be used: why, and what is known of it all the same."""

    reason: str
    data: bytes | None = None
    digest: bytes | None = None
    examined: Examined | None = None


def look(task: Task, at: int) -> Usable | Unusable:
    """Reads a picture of a task and decodes it in full.

    Args:
        task: A task of encoded pictures.
        at: The number of the picture in it.

    Raises:
        RunError: It has changed since it was listed, or the archive that holds it cannot be read.
    """
    from fovea.pictures import Limits, examine

    samples, rules = task.samples, task.rules
    problem = samples.problems[at] if samples.problems is not None else None
    if problem is None and samples.labels[at] < 0:
        problem = _NO_LABEL
    if problem not in {None, _NO_LABEL}:
        return Unusable(str(problem))
    members = samples.images
    if not isinstance(members, Members):
        raise TypeError(f"{type(members).__name__} cannot be looked at one by one")
    if members.sizes[at] > rules.max_bytes:
        return Unusable("too_large")
    try:
        data = members.read(at)
    except MemberError as error:
        _check_there(task, at, members, str(error))
        return Unusable(str(error))
    digest = hashlib.sha256(data).digest()
    _check_unchanged(task, at, digest)
    if problem is not None:
        return Unusable(problem, data, digest)
    examined = examine(data, samples.members[at], Limits(rules.max_pixels, rules.max_bytes))
    if examined.reason is not None:
        return Unusable(examined.reason, data, digest, examined)
    return Usable(data, digest, examined)


def _check_there(task: Task, at: int, members: Members, reason: str) -> None:
    """Refuses what may be readable another time: a finished task says for ever what it found."""
    what = f"'{task.samples.members[at]}' of data '{task.rules.name}'"
    if _listed(task, at) is not None:
        how = {"missing": "is not there any more", "unreadable": "cannot be read any more"}
        raise RunError(
            f"{what} {how.get(reason, 'has changed since ingest')}; bring it back, or run "
            "`kedro run --pipelines=ingest` again"
        )
    if reason in {"missing", "unreadable"}:
        path = members.files[int(members.file[at])]
        raise RunError(f"{what} is {reason}: '{path}' cannot be read; bring it back and run the same command again")


def _check_unchanged(task: Task, at: int, digest: bytes) -> None:
    listed = _listed(task, at)
    if listed is not None and digest.hex() != listed:
        raise RunError(
            f"'{task.samples.members[at]}' of data '{task.rules.name}' has changed since ingest; run "
            "`kedro run --pipelines=ingest` again"
        )


def _listed(task: Task, at: int) -> str | None:
    return task.samples.sha256[at] if task.samples.sha256 is not None else None
