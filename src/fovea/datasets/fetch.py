"""One file from its mirrors in turn: verified before it gets its name, remembered afterwards."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fovea.core.errors import RunError
from fovea.core.files import explained
from fovea.core.locks import forget_dead, waiting
from fovea.datasets.mirrors import VARIABLE, Mirror
from fovea.datasets.parts import Part, Patience, UnavailableError
from fovea.datasets.wanted import Facts, Wanted, measure, recall, remember

_LOG = logging.getLogger(__name__)
_LONG = 1_000_000_000
_BY_HAND = "placed by hand"


@dataclass(frozen=True)
class Fetched:
    """A verified source file.

    Attributes:
        path: Where it lies.
        facts: Its size and digests.
        origin: The mirror that gave it.
        fresh: Whether it was fetched just now.
    """

    path: Path
    facts: Facts
    origin: str
    fresh: bool


class MissingError(RunError):
    """A file is in no place that was looked in.

    Attributes:
        name: The file's.
        reasons: What each place answered.
    """

    def __init__(self, wanted: Wanted, folder: Path, reasons: Sequence[str]) -> None:
        super().__init__(_sentence(wanted, folder, reasons))
        self.name, self.reasons = wanted.name, tuple(reasons)


def fetch(
    wanted: Wanted, folder: Path, mirrors: Callable[[], Sequence[Mirror]], *, patience: Patience | None = None
) -> Fetched:
    """The wanted file in `folder`: the one that is there if it is right, else a new one.

    A file that is damaged, cut short or of another kind is renamed to ``<name>.bad-<first 8 digits of its md5>`` and
    never used. A part that was not completed stays as ``<name>.part`` and is gone on with next time.

    Args:
        wanted: The file and what its publisher says of it.
        folder: Where it is kept; made if missing.
        mirrors: Gives the places to look in, in turn; asked only when the file is not there.
        patience: Time limits and attempts for servers.

    Raises:
        UserError: A mirror is no folder or address.
        MissingError: No mirror gave the file.
        RunError: The disk is full or not writable.
    """
    path = folder / wanted.name
    with explained(f"fetching {wanted.name} into {folder}"):
        lock = folder / f".{wanted.name}.lock"
        if found := _in_place(path, wanted):
            forget_dead(lock)
            return found
        with waiting(lock, f"fetching {wanted.name}"):
            return _in_place(path, wanted) or _from_any(mirrors(), path, wanted, patience or Patience())


def in_place(wanted: Wanted, folder: Path, notes: Path) -> Fetched | None:
    """The wanted file of a user's own folder, which is never written to; None when it is not there.

    Args:
        wanted: The file and what its publisher says of it.
        folder: Where it lies.
        notes: The folder that keeps what was measured.

    Raises:
        RunError: It is another file than announced, or cannot be read.
    """
    path = folder / wanted.name
    with explained(f"reading {path}"):
        if not path.is_file():
            return None
        known = recall(path, notes)
        if known is None or known[1] != str(folder):
            if path.stat().st_size > _LONG:
                _LOG.info("checking '%s' (%.1f GB), once", path, path.stat().st_size / 1e9)
            known = _measured(path), str(folder)
            remember(path, *known, notes)
        facts = known[0]
        if fault := wanted.fault(path, facts):
            raise RunError(
                f"'{path}' is {fault}; get it again, or set md5, sha256 and bytes in data.files to null if it is meant "
                "to be another file"
            )
    return Fetched(path, facts, str(folder), fresh=False)


def _from_any(mirrors: Sequence[Mirror], path: Path, wanted: Wanted, patience: Patience) -> Fetched:
    reasons = []
    if path.exists():
        fault = _aside(path, path, wanted)
        _LOG.warning("'%s' is not the announced file: %s", path, fault)
        reasons.append(f"'{path}': {fault}")
    for mirror in mirrors:
        try:
            return _from(mirror, path, wanted, patience)
        except UnavailableError as reason:
            _LOG.warning("%s: not from %s: %s", wanted.name, mirror.shown, reason)
            reasons.append(f"{mirror.shown}: {reason}")
    raise MissingError(wanted, path.parent, reasons)


def _in_place(path: Path, wanted: Wanted) -> Fetched | None:
    if not path.is_file():
        return None
    known = recall(path)
    facts, origin = known or (_measured(path), _BY_HAND)
    if wanted.fault(path, facts):
        return None
    if known is None:
        remember(path, facts, origin)
    return Fetched(path, facts, origin, fresh=False)


def _from(mirror: Mirror, path: Path, wanted: Wanted, patience: Patience) -> Fetched:
    part = Part(path.with_name(path.name + ".part"))
    begun = part.size > 0
    if not (begun and part.size == wanted.bytes):
        _LOG.info("fetching %s from %s", wanted.name, mirror.shown)
        mirror.bring(wanted, part, patience)
    facts = measure(part.path)
    if begun and wanted.fault(part.path, facts):
        # The bytes of an earlier attempt may be those of another file.
        part.drop()
        mirror.bring(wanted, part, patience)
        facts = measure(part.path)
    if wanted.fault(part.path, facts):
        raise UnavailableError(_aside(part.path, path, wanted))
    with part.path.open("rb") as stream:
        os.fsync(stream.fileno())
    part.become(path)
    remember(path, facts, mirror.shown)
    return Fetched(path, facts, mirror.shown, fresh=True)


def _aside(found: Path, path: Path, wanted: Wanted) -> str:
    facts = _measured(found)
    fault = wanted.fault(found, facts)
    kept = path.with_name(f"{path.name}.bad-{facts.md5[:8]}")
    found.replace(kept)
    if found != path:
        Part(found).drop()
    return f"{fault}, kept as {kept.name}"


def _measured(path: Path) -> Facts:
    try:
        return measure(path)
    except OSError as error:
        raise RunError(f"'{path}' cannot be read ({error.strerror}); make it readable or remove it") from error


def _sentence(wanted: Wanted, folder: Path, reasons: Sequence[str]) -> str:
    tried = (
        f"could not be had ({'; '.join(reasons)})" if reasons else "is not there and the config names no mirror of it"
    )
    return (
        f"{wanted.name} {tried}; put the file by hand into '{folder}', or set {VARIABLE} to a folder or address that "
        f"has {folder.name}/{wanted.name}"
    )
