"""A download that is not complete yet: the bytes so far, and the file on which server they belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class UnavailableError(Exception):
    """A mirror cannot give the file; the message says why, in a few words."""


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server: seconds to connect, seconds between bytes, attempts, first pause in seconds."""

    connect: float = 10.0
    read: float = 30.0
    attempts: int = 4
    pause: float = 0.5


@dataclass(frozen=True)
class Part:
    """The file ``<name>.part`` and its note ``<name>.part.json``."""

    path: Path

    @property
    def size(self) -> int:
        """Bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def begin(self, url: str, validator: str | None, total: int | None) -> None:
        """Empties the part and notes whose bytes it will hold.

        Args:
            url: Where they come from.
            validator: The server's strong ETag or date of the file, for `If-Range`.
            total: Bytes of the whole file, where the server tells.
        """
        self.path.unlink(missing_ok=True)  # it may be a hard link to a mirror's file
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": url, "validator": validator, "total": total}))

    def note(self) -> dict[str, Any]:
        """What `begin` noted; empty when there is no part or no readable note."""
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) and self.path.is_file() else {}

    def drop(self) -> None:
        """Removes the part and its note."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become(self, path: Path) -> None:
        """Gives the part its final name."""
        self.path.replace(path)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")
