"""Records that could not be sent to MLflow, on disk until they can."""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from fovea.core.errors import RunError
from fovea.core.files import explained
from fovea.core.places import shared_root

log = logging.getLogger("fovea.tracking")

FOLDER = Path("data/08_reporting/_untracked")

Record = dict[str, Any]
"""One thing to be logged: plain data with the key `op`; see `target` for the kinds."""


def now() -> int:
    """Milliseconds since 1970, MLflow's clock."""
    return int(time.time() * 1000)


def folder() -> Path:
    """Where journals lie; not below a DVC output, and not in a copy that DVC deletes."""
    return shared_root() / FOLDER


def pending() -> list[Path]:
    """The journals that wait to be sent, oldest first."""
    found = [(changed(path), path) for path in folder().glob("*.jsonl")]
    return [path for _, path in sorted((moment, path) for moment, path in found if moment is not None)]


def changed(journal: Path) -> int | None:
    """When a journal was last written, in milliseconds since 1970; None: it is gone, another process has sent it."""
    try:
        return journal.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return None


class Journal:
    """A file with a record a line, and a folder with copies of the artifacts beside it.

    Args:
        name: The run's name, from which the file is named.
        head: The first record, which says to what run the others belong.

    Attributes:
        path: The file.
        count: The records that were written.
        sent: The records of the file that need not be sent any more, with the head.

    Raises:
        RunError: The disk is full or may not be written.
    """

    def __init__(self, name: str, head: Record) -> None:
        stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000:06d}"
        self.path = folder() / f"{stem}.jsonl"
        self.count = 0
        self.sent = 1
        self._head = head
        with explained(f"writing {self.path}"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self.append(head)

    def append(self, record: Record) -> None:
        """Writes one record; the files that it names are copied, since they may change or go.

        Raises:
            RunError: The disk is full or may not be written.
        """
        with explained(f"writing {self.path}"):
            if "file" in record:
                record = {**record, "file": self._keep(Path(record["file"]))}
            if self.count and not self.path.exists():
                # Another process was told to send it, although this one still writes: it begins once more.
                self._write(self._head)
                self.sent = 1
            self._write(record)
        self.count += 1

    def _write(self, record: Record) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")

    def _keep(self, source: Path) -> str:
        kept = files_of(self.path) / f"{self.count:06d}" / source.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, kept)
        else:
            shutil.copy2(source, kept)
        return str(kept.relative_to(self.path.parent))


def files_of(journal: Path) -> Path:
    """The folder with a journal's artifacts."""
    return journal.with_suffix(".files")


def read(journal: Path) -> list[Record]:
    """The records of a journal, their files as absolute paths; a last line cut short by a kill is left out.

    A journal that is gone, since another process has sent it, has none.

    Raises:
        RunError: It may not be read.
    """
    records: list[Record] = []
    # Not as lines of text: a text may hold other separators of lines, and a kill may cut within a character.
    for line in _content(journal).split(b"\n"):
        if not line:
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except ValueError:
            log.warning("a line of %s is cut short and is left out", journal)
            continue
        if "file" in record:
            record["file"] = str(journal.parent / record["file"])
        records.append(record)
    return records


def _content(journal: Path) -> bytes:
    try:
        return journal.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RunError(f"{journal} cannot be read ({error.strerror}); make it readable, or move it away") from error


def remove(journal: Path) -> None:
    """Deletes a journal and its artifacts."""
    journal.unlink(missing_ok=True)
    shutil.rmtree(files_of(journal), ignore_errors=True)
