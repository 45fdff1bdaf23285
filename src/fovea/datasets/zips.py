"""The members of a zip archive from its central directory (PKWARE APPNOTE 6.3.10, section 4.3); none is unpacked."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from fovea.core.files import explained
from fovea.datasets.archives import Entries, broken, decoded
from fovea.datasets.members import DEFLATED, PLAIN

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = 30  # bytes of a local header without its name
_COMMENT = 1 << 16
_UNSET = 0xFFFFFFFF
_UNIX = 3
_GROWTH = 1032  # what one byte of a deflate stream can grow to at most (RFC 1951)


class _Entry(NamedTuple):
    name: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    mode: int
    offset: int


def list_zip(path: Path) -> Entries:
    """The members of the zip archive at `path`.

    Raises:
        RunError: It is no zip archive, cut short, damaged, of several volumes, or cannot be read.
    """
    with explained(f"reading {path}"), path.open("rb") as stream:
        total = os.fstat(stream.fileno()).st_size
        begin, size, count, shift = _directory(path, stream, total)
        stream.seek(begin)
        directory = stream.read(size)
    entries = Entries()
    for entry in _entries(path, directory, count):
        _add(entries, entry, shift, begin)
    _mark_overlaps(entries)
    return entries.finish()


def _directory(path: Path, stream: BinaryIO, total: int) -> tuple[int, int, int, int]:
    """Where the central directory lies: first byte, size, entries, and bytes that were put before the archive."""
    tail_at = max(0, total - _COMMENT - _END.size)
    stream.seek(tail_at)
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        if tail_at == 0 and not tail.startswith(b"PK"):
            raise broken(path, "is no zip archive")
        raise broken(path, "is cut short: a zip archive has its table of contents at the end")
    _, disk, first_disk, _, count, size, offset, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    if _UNSET in (size, offset) or count == 0xFFFF:
        stream.seek(max(0, end - _END64_LOCATOR.size))
        located = _END64_LOCATOR.unpack(stream.read(_END64_LOCATOR.size).ljust(_END64_LOCATOR.size, b"\0"))
        if located[0] == b"PK\x06\x07":
            stream.seek(min(located[2], total))
            wide = stream.read(_END64.size)
            if len(wide) < _END64.size or wide[:4] != b"PK\x06\x06":
                raise broken(path, "is damaged: its zip64 table of contents is not where it should be")
            *_, disk, first_disk, _, count, size, offset = _END64.unpack(wide)
            end = located[2]
    if disk or first_disk:
        raise broken(path, "is one of several volumes of a zip archive")
    shift = end - size - offset
    if shift < 0 or size > end:
        raise broken(path, "is cut short or damaged: its table of contents is not where it should be")
    return offset + shift, size, count, shift


def _entries(path: Path, directory: bytes, count: int) -> Iterator[_Entry]:
    at, found = 0, 0
    while at < len(directory):
        if len(directory) - at < _ENTRY.size or directory[at : at + 4] != b"PK\x01\x02":
            raise broken(path, f"is damaged: its table of contents cannot be read after {found:,} entries")
        fields = _ENTRY.unpack_from(directory, at)
        system, flags, method = fields[2], fields[5], fields[6]
        crc, stored, size, name_size, extra_size, comment_size = fields[9:15]
        mode = fields[-2] >> 16 if system == _UNIX else 0
        name_at = at + _ENTRY.size
        extra_at = name_at + name_size
        at = extra_at + extra_size + comment_size
        if at > len(directory):
            raise broken(path, f"is damaged: its table of contents ends within entry {found + 1:,}")
        stored, size, offset = _wide(directory[extra_at : extra_at + extra_size], stored, size, fields[-1])
        found += 1
        yield _Entry(directory[name_at:extra_at], flags, method, crc, stored, size, mode, offset)
    if found != count and found % 0x10000 != count:
        raise broken(path, f"is damaged: its table of contents has {found:,} entries instead of {count:,}")


def _wide(extra: bytes, stored: int, size: int, offset: int) -> tuple[int, int, int]:
    """The sizes and the offset, from the zip64 field where they do not fit 32 bits (APPNOTE 4.5.3)."""
    while len(extra) >= 4:
        tag, length = struct.unpack_from("<2H", extra)
        if tag == 1:
            values = [value for (value,) in struct.iter_unpack("<Q", extra[4 : 4 + length][: length // 8 * 8])]
            size = values.pop(0) if size == _UNSET and values else size
            stored = values.pop(0) if stored == _UNSET and values else stored
            offset = values.pop(0) if offset == _UNSET and values else offset
            break
        extra = extra[4 + length :]
    return stored, size, offset


def _add(entries: Entries, entry: _Entry, shift: int, end: int) -> None:
    name = decoded(entry.name)
    if name.endswith("/"):
        return
    offset, problem = entry.offset + shift, None
    kind = stat.S_IFMT(entry.mode)
    if kind and kind != stat.S_IFREG:
        problem = "not_a_file"
    elif entry.flags & 0x2041:  # encrypted, strongly encrypted, or with masked headers
        problem = "encrypted"
    elif entry.method not in (0, 8):
        problem = "unsupported_compression"
    elif offset + _LOCAL + entry.stored > end or not _is_possible(entry):
        problem = "damaged"
    if problem:
        # Nothing of it is ever read, so that what it announces does no harm to the columns.
        offset, stored, size = 0, 0, 0
    else:
        stored, size = entry.stored, entry.size
    method = DEFLATED if entry.method == 8 else PLAIN
    entries.add(name, problem, offset, stored, size, kind=method, zipped=True, crc=entry.crc)


def _is_possible(entry: _Entry) -> bool:
    """Whether what is stored can be of the announced size."""
    return entry.size == entry.stored if entry.method == 0 else entry.size <= entry.stored * _GROWTH


def _mark_overlaps(entries: Entries) -> None:
    """Marks members that share bytes, as in Fifield, "A better zip bomb" (WOOT 2019)."""
    rows = np.array([row for row, problem in enumerate(entries.problems) if problem is None], np.int64)
    if len(rows) < 2:
        return
    spans = entries.spans()[rows]
    order = np.argsort(spans[:, 0], kind="stable")
    begins, ends = spans[order, 0], spans[order, 1] + _LOCAL
    reach = np.maximum.accumulate(ends)
    inside = np.zeros(len(order), bool)
    inside[1:] = begins[1:] < reach[:-1]
    covering = np.zeros(len(order), bool)
    covering[:-1] = ends[:-1] > begins[1:]
    for row in rows[order[inside | covering]].tolist():
        entries.problems[row] = "overlapping"
