"""Decoded pictures that are kept, in memory or in a file, so that later epochs decode nothing."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.files import atomic_file, require_space
from fovea.core.locks import waiting
from fovea.loading.decoded import Decoded, Image
from fovea.loading.store import PixelStore, Shape, write_pixels
from fovea.shards.executors import in_order

_TASK_BYTES = 8 << 20


class Cached:
    """The pictures of `Decoded`, decoded once and kept; the same pixels.

    Processes that are forked after `ready` share them.

    Args:
        decoded: The pictures.
        path: The file that keeps them; None: memory.
        threads: That decode at the same time.
    """

    def __init__(self, decoded: Decoded, *, path: Path | None, threads: int) -> None:
        self._decoded = decoded
        self._path = path
        self._threads = threads
        self._store: PixelStore | None = None
        self._memory: IO[bytes] | None = None

    @property
    def is_stacked(self) -> bool:
        """Whether all pictures have one size."""
        return self._decoded.finish is not None

    def __call__(self, row: int) -> Image:
        """uint8 [H, W, C], read-only."""
        return self._decoded(row) if self._store is None else self._store[row]

    def stacked(self) -> Image | None:
        """All pictures, uint8 [N, H, W, C], where they have one size."""
        self.ready()
        return self._store.stacked() if self._store is not None and self.is_stacked else None

    def ready(self) -> None:
        """Decodes everything, or finds the file in which that was done before.

        Raises:
            RunError: A picture cannot be decoded, or the disk is full or not writable.
        """
        if self._store is None:
            self._store = self._in_memory() if self._path is None else self._on_disk(self._path)

    def __getstate__(self) -> dict[str, Any]:
        # The memory belongs to this process; others reach it through the store's path.
        return {**self.__dict__, "_memory": None}

    def _in_memory(self) -> PixelStore:
        stream, path = _anonymous()
        self._write(stream)
        self._memory = stream
        return PixelStore(path)

    def _on_disk(self, path: Path) -> PixelStore:
        found = _opened(path)
        if found is not None:
            return found
        with waiting(path.with_name(f".{path.name}.lock"), f"decoding into {path.name}"):
            found = _opened(path)
            if found is not None:
                return found
            for other in _others(path):
                other.unlink(missing_ok=True)
            require_space(path.parent, self._decoded.total_bytes(), "the decoded pictures")
            with atomic_file(path) as temporary, temporary.open("wb") as stream:
                self._write(stream)
        return PixelStore(path)

    def _write(self, stream: IO[bytes]) -> None:
        write_pixels(stream, _in_order(self._decoded, self._threads), self._decoded.shape[2])


class Chosen:
    """Pictures of a selection, out of what is kept of the whole splits that it consists of.

    Args:
        parts: The kept pictures of each split, and the rows that are chosen of it.
    """

    is_stacked = False

    def __init__(self, parts: Sequence[tuple[Cached, NDArray[np.int64]]]) -> None:
        self._kept = [kept for kept, _ in parts]
        self._part = np.repeat(np.arange(len(parts)), [len(rows) for _, rows in parts])
        self._row = np.concatenate([rows for _, rows in parts])

    def __call__(self, row: int) -> Image:
        """uint8 [H, W, C], read-only."""
        return self._kept[int(self._part[row])](int(self._row[row]))

    def stacked(self) -> Image | None:
        """None: they lie among others."""
        return None

    def ready(self) -> None:
        """Decodes the splits, or finds the files in which that was done before.

        Raises:
            RunError: A picture cannot be decoded, or the disk is full or not writable.
        """
        for kept in self._kept:
            kept.ready()


def cache_path(folder: Path, data: str, decoded: Decoded, prepared: str, use: str = "") -> Path:
    """The file that keeps the pictures of a split, named after the data, the split and all that decides the pixels.

    Args:
        folder: Of all such files.
        data: The data set's name.
        decoded: The pictures.
        prepared: The digest of the prepared data.
        use: What they serve as, where that is not what the split is called. A file takes the place of an older one of
            the same data, split and use.
    """
    name = f"{data}-{decoded.split.name}{use and f'-as-{use}'}"
    return folder / f"{name}-{decoded.identity(prepared)[:16]}.pixels"


def _others(path: Path) -> list[Path]:
    """The files of other versions of the same split. Whoever has one mapped keeps it."""
    prefix = path.name.rpartition("-")[0]
    return [
        other for other in path.parent.glob("*.pixels") if other != path and other.name.rpartition("-")[0] == prefix
    ]


def _opened(path: Path) -> PixelStore | None:
    with suppress(OSError, ValueError):
        return PixelStore(path)
    return None


def _anonymous() -> tuple[IO[bytes], str]:
    """A file that has no name and lies in memory (Linux; else a temporary one), and where this machine finds it."""
    if hasattr(os, "memfd_create"):
        stream = os.fdopen(os.memfd_create("fovea-pixels"), "w+b")
        return stream, f"/proc/{os.getpid()}/fd/{stream.fileno()}"
    named = tempfile.NamedTemporaryFile(prefix="fovea-pixels-")  # noqa: SIM115
    return named, named.name  # the whole of it: without its wrapper the file is closed and gone


def _in_order(decoded: Decoded, threads: int) -> Iterator[tuple[Shape, bytes]]:
    """Shape and pixels of every picture, decoded by some threads, never many pictures ahead."""
    own = threading.local()

    def task(rows: range) -> list[tuple[Shape, bytes]]:
        if not hasattr(own, "decoded"):
            own.decoded = decoded.twin()
        return [(image.shape, image.tobytes()) for image in map(own.decoded, rows)]

    count = len(decoded)
    step = max(1, _TASK_BYTES * count // max(1, decoded.total_bytes()))
    parts = (range(first, min(count, first + step)) for first in range(0, count, step))
    with ThreadPoolExecutor(threads) as pool, closing(in_order(pool, task, parts, window=2 * threads + 1)) as done:
        for pictures in done:
            yield from pictures
