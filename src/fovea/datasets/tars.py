"""The members of a tar archive, also of one that lies inside another (POSIX.1-2017 pax, and GNU tar's extensions)."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fovea.core.files import explained
from fovea.datasets.archives import Entries, broken, decoded

_BLOCK = 512
_REGULAR, _FOLDER = b"0\0007", b"5"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_MOST_EXTRA = 1 << 20  # bytes of one extended header


@dataclass(frozen=True)
class Span:
    """A tar archive: bytes `begin` to `end` of the file at `path`; `shown` is its name in messages."""

    path: Path
    begin: int
    end: int
    shown: Path


@dataclass(frozen=True)
class _Member:
    name: bytes
    kind: bytes
    offset: int
    size: int


def list_tar(path: Path, inside: Span | None = None) -> Entries:
    """The members of the tar archive at `path`, or of the one that lies `inside` it.

    Raises:
        RunError: It is no plain tar archive, cut short, damaged, or cannot be read.
    """
    entries = Entries()
    with explained(f"reading {path}"), path.open("rb") as stream:
        span = inside or Span(path, 0, os.fstat(stream.fileno()).st_size, path)
        for member in _members(stream, span):
            problem = None if member.kind in _REGULAR else "not_a_file"
            entries.add(decoded(member.name), problem, member.offset, member.size, member.size)
    return entries.finish()


def unpacked_members(path: Path, wanted: Sequence[str], most: int) -> dict[str, bytes]:
    """The contents of some members of a small tar archive, gzipped or plain, by the end of their names.

    Args:
        path: The archive.
        wanted: Names as they end, as in ``data/meta.mat``.
        most: Bytes that the whole archive may have when it is unpacked.

    Raises:
        RunError: It is larger than that, no tar archive, cut short or damaged.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            content = (gzip.GzipFile(fileobj=raw) if zipped else raw).read(most + 1)
    except EOFError:
        raise broken(path, "is cut short: its gzip stream has no end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise broken(path, f"is damaged: its gzip stream cannot be unpacked ({error})") from None
    if len(content) > most:
        raise broken(path, f"unpacks to more than {most >> 20} MB")
    stream, span = io.BytesIO(content), Span(path, 0, len(content), path)
    found: dict[str, bytes] = {}
    for member in _members(stream, span):
        for name in wanted:
            if member.kind in _REGULAR and f"/{decoded(member.name)}".endswith(f"/{name}"):
                found.setdefault(name, content[member.offset : member.offset + member.size])
    return found


def _members(stream: BinaryIO, span: Span) -> Iterator[_Member]:
    """The members that are not folders, the extended headers applied."""
    at, name, size = span.begin, b"", -1
    while True:
        header = _read(stream, span, at, _BLOCK)
        if not header.strip(b"\0"):
            return
        _verify(header, span, at)
        kind, stored = header[156:157], _number(header[124:136], span, at)
        at += _BLOCK
        if kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
            if stored > _MOST_EXTRA:
                raise broken(span.shown, f"is damaged: it has a header of {stored:,} bytes at byte {at:,}")
            extra = _read(stream, span, at, stored)
            if kind == _LONG_NAME:
                name = extra.rstrip(b"\0")
            elif kind == _PAX:
                facts = _pax(extra)
                name = facts.get(b"path", name)
                told = facts.get(b"size", b"")
                size = int(told) if told.isdigit() and len(told) < 19 else size
            at += _padded(stored)
            continue
        stored = size if size >= 0 else stored
        is_stored = kind not in b"12345"  # links, devices and folders have no bytes of their own
        after = at + (_padded(stored) if is_stored else 0)
        if after > span.end:
            raise _cut(span)
        full = name or _name(header)
        if kind != _FOLDER and not full.endswith(b"/"):
            yield _Member(full, kind, at, stored if is_stored else 0)
        at, name, size = after, b"", -1


def _read(stream: BinaryIO, span: Span, at: int, size: int) -> bytes:
    if at + size > span.end:
        raise _cut(span)
    stream.seek(at)
    data = stream.read(size)
    if len(data) < size:
        raise _cut(span)
    return data


def _cut(span: Span) -> Exception:
    if span.end - span.begin < _BLOCK:
        return broken(span.shown, "is no tar archive")
    return broken(span.shown, "is cut short: the tar archive has no end")


def _verify(header: bytes, span: Span, at: int) -> None:
    """The sum of a header's bytes, its own field counted as spaces, must be as noted; old programs add them signed."""
    try:
        noted = int(header[148:156].strip(b"\0 ") or b"0", 8)
    except ValueError:
        noted = -1
    counted = header[:148] + b" " * 8 + header[156:]
    if noted != sum(counted) and noted != sum(byte - 256 if byte > 127 else byte for byte in counted):
        if at == span.begin:
            packed = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz"}.get(header[:2])
            raise broken(span.shown, f"is a {packed} file, not a plain tar archive" if packed else "is no tar archive")
        raise broken(span.shown, f"is damaged at byte {at:,}: there is no header of a member")


def _number(field: bytes, span: Span, at: int) -> int:
    """An octal number, or GNU tar's binary one for sizes above 8 GB."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ") or b"0"
    if not digits.isdigit() or digits.strip(b"01234567"):
        raise broken(span.shown, f"is damaged at byte {at:,}: a member's size is not a number")
    return int(digits, 8)


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].rstrip(b"\0"), b""
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].rstrip(b"\0")
    return prefix + b"/" + name if prefix else name


def _pax(extra: bytes) -> dict[bytes, bytes]:
    """The records of an extended header, length, key and value each; what is malformed is left out."""
    facts: dict[bytes, bytes] = {}
    while extra:
        length, _, _ = extra.partition(b" ")
        if not length.isdigit() or len(length) > 7 or not len(length) < int(length) <= len(extra):
            break
        key, _, value = extra[len(length) + 1 : int(length) - 1].partition(b"=")
        facts[key] = value
        extra = extra[int(length) :]
    return facts


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
