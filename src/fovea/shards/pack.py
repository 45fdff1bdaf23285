"""Pictures of a source into shards and a manifest, in one pass."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.digest import file_digest
from fovea.core.errors import RunError
from fovea.datasets.samples import SPLITS, Encoding, Samples
from fovea.shards.codec import decode
from fovea.shards.manifest import ManifestPart, write_manifest
from fovea.shards.meta import MANIFEST, FileInfo
from fovea.shards.splits import assign
from fovea.shards.writer import Rows, SplitWriter

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig, PrepareConfig


@dataclass(frozen=True)
class Packed:
    """The files that were written: what the pictures are encoded as, how many each split has, shards, manifest."""

    encoding: Encoding
    counts: dict[str, int]
    shards: tuple[FileInfo, ...]
    manifest: FileInfo


def pack(chunks: Iterable[Samples], folder: Path, data: DataConfig, prepare: PrepareConfig) -> Packed:
    """Splits the pictures and writes them and their manifest into `folder`.

    A shard holds pictures of one split, in the order of the source; the shards are numbered through train, val,
    test.

    Args:
        chunks: The pictures.
        folder: An empty folder.
        data: The data set.
        prepare: How to split, and how large a shard is.

    Raises:
        RunError: Two pictures have one id, a picture cannot be decoded or has another size, none is left for training,
            or the disk has no room.
        OSError: Writing failed.
    """
    packing = _Packing(folder, data, prepare)
    for samples in chunks:
        packing.add(samples)
    return packing.finish()


@dataclass
class _Packing:
    folder: Path
    data: DataConfig
    prepare: PrepareConfig
    writers: list[SplitWriter] = field(default_factory=list)
    parts: list[ManifestPart] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def add(self, samples: Samples) -> None:
        if not self.writers:
            limit = self.prepare.shard_mb * 1_000_000
            self.writers = [SplitWriter(self.folder, split, samples.encoding, limit) for split in SPLITS]
        self._check(samples)
        looked = _look(samples, self.data)
        splits = assign(
            looked.digests,
            samples.split,
            seed=self.prepare.seed,
            test_fraction=self.prepare.test_fraction,
            val_fraction=self.prepare.val_fraction,
        )
        keys = sample_keys(samples.ids)
        shards, rows = np.empty(len(samples), np.int32), np.empty(len(samples), np.int32)
        for code, writer in enumerate(self.writers):
            chosen = np.flatnonzero(splits == code)
            shards[chosen], rows[chosen] = writer.append(
                Rows(_take(samples.ids, chosen), keys[chosen], samples.labels[chosen], _take(samples.images, chosen))
            )
        self.parts.append(
            ManifestPart(samples, splits, looked.widths, looked.heights, looked.sizes, looked.digests, shards, rows)
        )

    def finish(self) -> Packed:
        for writer in self.writers:
            writer.finish()
        counts: dict[str, int] = {writer.split: sum(writer.counts) for writer in self.writers}
        if not counts.get("train"):
            raise RunError(
                f"no picture of data '{self.data.name}' is left for training; lower prepare.test_fraction "
                f"({self.prepare.test_fraction:g}) or prepare.val_fraction ({self.prepare.val_fraction:g})"
            )
        shards: list[FileInfo] = []
        names: list[list[str]] = []
        for writer in self.writers:
            names.append([f"shard-{len(shards) + number:05d}.arrow" for number in range(len(writer.paths))])
            for path, count, name in zip(writer.paths, writer.counts, names[-1], strict=True):
                target = path.rename(self.folder / name)
                shards.append(FileInfo(name, count, target.stat().st_size, file_digest(target), writer.split))
        manifest = self.folder / MANIFEST
        write_manifest(manifest, self.parts, names, self.data.channels)
        info = FileInfo(MANIFEST, len(self.ids), manifest.stat().st_size, file_digest(manifest))
        return Packed(self.writers[0].encoding, counts, tuple(shards), info)

    def _check(self, samples: Samples) -> None:
        if samples.encoding != self.writers[0].encoding:
            raise RunError(f"data '{self.data.name}' has {samples.encoding} and {self.writers[0].encoding} pictures")
        before = len(self.ids)
        self.ids.update(samples.ids)
        if len(self.ids) != before + len(samples):
            raise RunError(f"data '{self.data.name}' has two pictures with one id")


@dataclass(frozen=True)
class _Looked:
    digests: list[bytes]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    sizes: NDArray[np.int64]


def _look(samples: Samples, data: DataConfig) -> _Looked:
    """sha256 of the pixels, width, height and bytes of each picture."""
    count = len(samples)
    if isinstance(samples.images, np.ndarray):
        shape = (data.image_size, data.image_size, data.channels)
        if samples.images.shape != (count, *shape):
            raise RunError(
                f"data '{data.name}' has pictures of shape {samples.images.shape[1:]} where {shape} is expected"
            )
        flat = np.ascontiguousarray(samples.images).reshape(count, math.prod(shape))
        side = np.full(count, data.image_size, np.int32)
        return _Looked(
            [hashlib.sha256(row.data).digest() for row in flat], side, side, np.full(count, flat.shape[1], np.int64)
        )
    digests, shapes = [], np.empty((count, 2), np.int32)
    for number, (file, member) in enumerate(zip(samples.images, samples.members, strict=True)):
        try:
            image = decode(file, data.channels)
        except ValueError as error:
            raise RunError(
                f"{member} of data '{data.name}' cannot be read ({error}); take it out of the source"
            ) from error
        digests.append(hashlib.sha256(image.tobytes()).digest())
        shapes[number] = image.shape[:2]
    return _Looked(digests, shapes[:, 1], shapes[:, 0], np.array([len(file) for file in samples.images], np.int64))


def sample_keys(ids: Sequence[str]) -> NDArray[np.uint64]:
    """Each sample's identity, uint64 of shape [N]: the first 8 bytes, big-endian, of the sha256 of its id."""
    digests = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in ids)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def _take(values: Any, chosen: NDArray[np.intp]) -> Any:
    return values[chosen] if isinstance(values, np.ndarray) else [values[at] for at in chosen.tolist()]
