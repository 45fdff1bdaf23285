"""What was seen of each file of a folder, remembered by size and time so that an untouched file is not read again."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.core.files import atomic_file

_CHUNK = 1 << 20
_TICK = 2_000_000_000  # ns; a file changed twice within a tick of its file system's clock looks untouched


@dataclass(frozen=True)
class Seen:
    """A file: its size in bytes, time of change in ns, digest, and what speaks against it.

    Attributes:
        size: 0 where it could not be read.
        changed: 0 where it could not be read.
        sha256: Hex digest, or None.
        problem: One of `fovea.datasets.samples.PROBLEMS`, or None.
    """

    size: int
    changed: int
    sha256: str | None
    problem: str | None = None


def see(base: bytes, known: Mapping[bytes, Seen], path: bytes, problem: str | None) -> Seen:
    """Looks at a file; reads it only when it is not as it was.

    Args:
        base: The folder.
        known: What was seen before, by path.
        path: The file, relative to `base`.
        problem: What speaks against it already; it is not touched then.
    """
    if problem is not None:
        return Seen(0, 0, None, problem)
    digest, place = hashlib.sha256(), os.path.join(base, path)  # noqa: PTH118
    try:
        if not stat.S_ISREG(os.stat(place).st_mode):  # noqa: PTH116
            return Seen(0, 0, None, "not_a_file")
        with open(place, "rb", buffering=0) as stream:  # noqa: PTH123
            before = os.fstat(stream.fileno())
            old = known.get(path)
            if old is not None and (old.size, old.changed) == (before.st_size, before.st_mtime_ns):
                return old
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return Seen(0, 0, None, "missing")
    except OSError:
        return Seen(0, 0, None, "unreadable")
    return Seen(before.st_size, before.st_mtime_ns, digest.hexdigest())


class Memory:
    """The Arrow IPC file at `path` of what was seen in `folder`, a record batch for each class and split."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self._begun = time.time_ns()
        self._table: Any = None
        self._numbers: dict[tuple[str, str | None], int] = {}
        self._open()

    def _open(self) -> None:
        import pyarrow as pa

        try:
            table = pa.ipc.open_file(pa.memory_map(str(self._path)))
            if table.schema != _schema(self._folder) or table.schema.metadata != _schema(self._folder).metadata:
                return
            for number in range(table.num_record_batches):
                batch = table.get_batch(number)
                self._numbers[batch["label"][0].as_py(), batch["split"][0].as_py()] = number
        except (OSError, pa.ArrowInvalid, IndexError):
            return  # it is only a memory: all is read again
        self._table = table

    def of(self, label: str, split: str | None) -> dict[bytes, Seen]:
        """What was seen of a class of a split, by path."""
        number = self._numbers.get((label, split))
        if self._table is None or number is None:
            return {}
        columns = self._table.get_batch(number).to_pydict()
        rows = zip(columns["path"], columns["bytes"], columns["changed"], columns["sha256"], strict=True)
        return {path: Seen(size, changed, sha256) for path, size, changed, sha256 in rows}

    @contextmanager
    def anew(self) -> Iterator[Callable[[str, str | None, Sequence[bytes], Sequence[Seen]], None]]:
        """Yields a function that takes down what is seen now; it takes the old memory's place at the end."""
        import pyarrow as pa

        schema = _schema(self._folder)

        def write(label: str, split: str | None, paths: Sequence[bytes], seen: Sequence[Seen]) -> None:
            kept = [
                (label, split, path, one.size, one.changed, one.sha256)
                for path, one in zip(paths, seen, strict=True)
                if one.sha256 is not None and one.changed < self._begun - _TICK
            ]
            if kept:
                columns = zip(*kept, strict=True)
                arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
                table.write_batch(pa.record_batch(arrays, schema=schema))

        with atomic_file(self._path) as temporary, pa.ipc.new_file(str(temporary), schema) as table:
            yield write


def _schema(folder: Path) -> Any:
    import pyarrow as pa

    text = pa.string()
    columns = [("label", text), ("split", text), ("path", pa.binary()), ("bytes", pa.int64()), ("changed", pa.int64())]
    return pa.schema([*columns, ("sha256", text)], metadata={b"folder": os.fsencode(folder)})
