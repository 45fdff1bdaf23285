"""What a source file must be, what a file on disk is, and what speaks against taking the one for the other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fovea.core.errors import FoveaError, UserError
from fovea.core.files import atomic_file

_CHUNK = 1 << 20
_KINDS = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"\xfd7zXZ": "an xz file",
    b"BZh": "a bzip2 file",
}


@dataclass(frozen=True)
class Facts:
    """What is known of the bytes of a file."""

    bytes: int
    md5: str
    sha256: str


@dataclass(frozen=True)
class Wanted:
    """A source file as its publisher announces it; what is not announced is None and not checked.

    Of a digest the first digits are enough, as in the names of published weights.
    """

    name: str
    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        plain_name(self.name, "a source file's name")

    def fault(self, path: Path, facts: Facts) -> str | None:
        """What is wrong with the file at `path`, or None when it is the wanted one."""
        what = _kind(path)
        if self.bytes is not None and facts.bytes != self.bytes:
            short = "cut short, " if facts.bytes < self.bytes and what == _kind_of_name(self.name) else ""
            return f"{short}{what} of {facts.bytes:,} bytes instead of {self.bytes:,}"
        for name in ("md5", "sha256"):
            announced, found = getattr(self, name), getattr(facts, name)
            if announced is not None and not found.startswith(announced.lower()):
                return f"{what} with {name} {found} instead of {announced.lower()}"
        return None


def plain_name(name: str, what: str) -> str:
    """`name`, when it names something in a folder and nothing outside.

    Raises:
        UserError: It does not.
    """
    if not name or name.startswith(".") or any(sign in name for sign in '/\\:\0*?"<>|\n'):
        raise UserError(f"{what} is '{name}' but must be a plain name without folders and not begin with a dot")
    return name


def measure(path: Path) -> Facts:
    """Size and digests of a file, in one reading of 1 MiB chunks."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            md5.update(chunk)
            sha256.update(chunk)
    return Facts(size, md5.hexdigest(), sha256.hexdigest())


def remember(path: Path, facts: Facts, origin: str, notes: Path | None = None) -> None:
    """Notes what was measured, so that an untouched file is not read again; a failed note is no harm.

    Args:
        path: The file.
        facts: What it is.
        origin: Where it came from.
        notes: The folder of the note; None: beside the file.
    """
    try:
        with atomic_file(_note(path, notes)) as temporary:
            temporary.write_text(
                json.dumps({**asdict(facts), "origin": origin, "stamp": _stamp(path)}, sort_keys=True) + "\n"
            )
    except (FoveaError, OSError):
        return


def recall(path: Path, notes: Path | None = None) -> tuple[Facts, str] | None:
    """Facts and origin noted for `path`, or None when there is no note or the file has changed since (size or time)."""
    try:
        note: dict[str, Any] = json.loads(_note(path, notes).read_text())
        if note["stamp"] != _stamp(path):
            return None
        return Facts(int(note["bytes"]), str(note["md5"]), str(note["sha256"])), str(note["origin"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note(path: Path, notes: Path | None) -> Path:
    return (notes or path.parent) / f".{path.name}.json"


def _stamp(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _kind(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(512)
    if not head:
        return "an empty file"
    for magic, kind in _KINDS.items():
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if head.lstrip().startswith((b"<?xml", b"<Error")):
        return "an XML document"
    return "a file"


def _kind_of_name(name: str) -> str:
    return {".gz": "a gzip file", ".zip": "a zip archive", ".tar": "a tar archive"}.get(Path(name).suffix, "a file")
