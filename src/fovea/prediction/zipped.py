"""The pictures of a zip archive, which is never unpacked and never trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fovea.core.errors import UserError
from fovea.datasets.archives import BrokenArchiveError, Entries, distinct, is_litter
from fovea.datasets.members import MemberError, Members
from fovea.datasets.zips import list_zip
from fovea.pictures.reasons import WORDS
from fovea.prediction.pictures import LIMITS, Unreadable
from fovea.prediction.source import Source, is_named_like_a_picture, no_picture

_PROBLEMS = {
    "unsafe_name": "its name leads out of the archive",
    "not_a_file": "not a regular file",
    "duplicate_member": "the archive has another one of this name",
    "unsupported_compression": "it is compressed in a way that is not read",
    "encrypted": "it is encrypted",
    "damaged": "the archive is damaged there",
    "missing": "the archive is not there any more",
    "unreadable": "the archive cannot be read",
}
# Pictures are compressed already: even drawings as BMP files do not grow so much, all of them together.
_BOMB_BYTES, _BOMB_GROWTH = 1_000_000_000, 100
_HEADERS = 100_000  # bytes that a deflate stream may be longer than what it holds


def is_zip(path: Path) -> bool:
    """Whether a file begins as zip archives do."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def zipped(path: Path) -> Source:
    """The pictures of the archive at `path`, in its order.

    Names are looked at, never used as paths; no more bytes of a member are made than a picture may have.

    Raises:
        UserError: It is no zip archive, damaged, a bomb, or holds no picture.
    """
    what = f"the archive '{path}'"
    try:
        entries = list_zip(path)
    except BrokenArchiveError as error:
        raise UserError(f"predict.source: '{path}' {error.how}; name another archive") from None
    members = entries.members(path)
    _refuse_bomb(entries, members, path)
    rows = [row for row, name in enumerate(entries.names) if is_named_like_a_picture(name) and not is_litter(name)]
    if not rows:
        raise no_picture(what, "archives within the archive are not opened; name another one")

    def read(place: int) -> bytes:
        row = rows[place]
        problem = entries.problems[row]
        if problem is not None:
            raise Unreadable(_PROBLEMS[problem])
        return _bytes(members, row)

    return Source(what, distinct([entries.names[row] for row in rows]), read)


def _bytes(members: Members, row: int) -> bytes:
    if members.sizes[row] > LIMITS.max_bytes or members.stored[row] > LIMITS.max_bytes + _HEADERS:
        raise Unreadable(WORDS["too_large"])
    try:
        return members.read(row)
    except MemberError as error:
        raise Unreadable(_PROBLEMS[str(error)]) from None


def _refuse_bomb(entries: Entries, members: Members, path: Path) -> None:
    """Refuses an archive that was made to be harmful, whatever else is in it.

    Raises:
        UserError: Members share bytes, or all of them together would grow out of hardly any.
    """
    shared = entries.problems.count("overlapping")
    if shared:
        raise UserError(
            f"predict.source: '{path}' is a zip bomb, {shared:,} of its members share their bytes; nothing was "
            "unpacked; do not use it"
        )
    size, grown = path.stat().st_size, int(np.sum(members.sizes))
    if grown > _BOMB_BYTES and grown > _BOMB_GROWTH * size:
        raise UserError(
            f"predict.source: '{path}' is a zip bomb, its {size:,} bytes would become {grown:,}; nothing was unpacked; "
            "do not use it"
        )
