"""Digests of files and of plain data."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes, read in chunks of 1 MiB."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def kept_digest(path: Path) -> str:
    """Hex sha256 of a file's bytes, read once in a process as long as the file's size and time of change stay."""
    facts = path.stat()
    return _digest_at(path.resolve(), facts.st_size, facts.st_mtime_ns, facts.st_ino)


@cache
def _digest_at(path: Path, _size: int, _mtime: int, _inode: int) -> str:
    return file_digest(path)


def tree_digest(folder: Path, pattern: str) -> str:
    """Hex sha256 of the names and bytes of the files below a folder whose names match a pattern."""
    hasher = hashlib.sha256()
    for path in sorted(folder.rglob(pattern)):
        content = path.read_bytes()
        hasher.update(f"{path.relative_to(folder).as_posix()} {len(content)};".encode())
        hasher.update(content)
    return hasher.hexdigest()


def data_digest(value: Any) -> str:
    """Hex sha256 of plain data (dicts, lists, strings, numbers, booleans, None), independent of the order of keys.

    Raises:
        TypeError: The value holds something that JSON cannot.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
