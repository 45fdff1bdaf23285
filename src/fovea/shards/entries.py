"""Finished shards: kept by the digest of what they follow from, until no prepared data set uses them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fovea.core.digest import file_digest
from fovea.core.files import atomic_file
from fovea.shards.meta import FileInfo

_SHARD, _FACTS, _QUARANTINE = "arrow", "facts.arrow", "quarantine.arrow"


@dataclass(frozen=True)
class Finished:
    """The files of a finished task; each lies in the folder of finished shards.

    Attributes:
        digest: Of the task.
        pictures: How many the task has.
        shard: The shard; None where none of them could be used.
        facts: What was found out about each, with the columns of `columns.FACTS`.
        quarantine: Those that could not be used, with the columns of `columns.QUARANTINE`; None where there is none.
    """

    digest: str
    pictures: int
    shard: FileInfo | None
    facts: FileInfo
    quarantine: FileInfo | None

    @property
    def files(self) -> tuple[FileInfo, ...]:
        """All of them."""
        return tuple(file for file in (self.shard, self.facts, self.quarantine) if file)


def shard_path(folder: Path, digest: str) -> Path:
    """Where the shard of a task goes."""
    return folder / f"{digest}.{_SHARD}"


def facts_path(folder: Path, digest: str) -> Path:
    """Where the facts of a task go."""
    return folder / f"{digest}.{_FACTS}"


def quarantine_path(folder: Path, digest: str) -> Path:
    """Where the unusable pictures of a task go."""
    return folder / f"{digest}.{_QUARANTINE}"


def described(path: Path, rows: int) -> FileInfo:
    """Name, size and checksum of a written file."""
    return FileInfo(path.name, rows, path.stat().st_size, file_digest(path))


def finish(folder: Path, finished: Finished) -> None:
    """Notes that a task is finished; without this note its files count for nothing."""
    with atomic_file(_note(folder, finished.digest)) as temporary:
        temporary.write_text(json.dumps(asdict(finished), sort_keys=True) + "\n")


def find(folder: Path, digest: str) -> Finished | None:
    """A finished task whose files are whole to the last byte; None where there is none."""
    finished = _read(_note(folder, digest))
    if finished is None:
        return None
    try:
        if any((folder / file.name).stat().st_size != file.bytes for file in finished.files):
            return None
        if any(file_digest(folder / file.name) != file.sha256 for file in finished.files):
            return None
    except OSError:
        return None
    return finished


def clear(folder: Path, used: Iterable[str]) -> None:
    """Removes everything from the folder but the tasks whose shard has one of the checksums `used`.

    A task without a shard stays as long as any task stays.
    """
    kept = set(used)
    notes = {path: _read(path) for path in sorted(folder.glob("*.json"))}
    stays = {path: note for path, note in notes.items() if note and (not note.shard or note.shard.sha256 in kept)}
    if not any(note.shard for note in stays.values()):
        stays = {}
    names = {path.name for path in stays} | {file.name for note in stays.values() for file in note.files}
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink(missing_ok=True)


def clear_unfinished(folder: Path) -> None:
    """Removes what was being written when the work was stopped."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def _note(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.json"


def _read(path: Path) -> Finished | None:
    def info(value: Any) -> FileInfo | None:
        return FileInfo(**value) if value else None

    try:
        content = json.loads(path.read_text())
        return Finished(
            content["digest"],
            content["pictures"],
            info(content["shard"]),
            FileInfo(**content["facts"]),
            info(content["quarantine"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
