"""The pictures of a source in pieces of work: each becomes one shard, wherever and whenever it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.digest import data_digest
from fovea.core.errors import RunError
from fovea.datasets.members import Members
from fovea.datasets.samples import Samples
from fovea.shards.keys import sample_keys
from fovea.shards.meta import FORMAT

_MOST = 2_000_000_000  # bytes: offsets of a binary column are 32 bits
_MEAN, _LEAST = 3, 12  # parts of the limit: a shard is a third of it on average, and seldom less than a twelfth


@dataclass(frozen=True)
class Rules:
    """The part of the config that the content of a shard follows from.

    Attributes:
        name: The data set's, for messages; the content does not depend on it.
        channels: 1 or 3; of raw pictures.
        image_size: Height and width of raw pictures in pixels.
        seed: Of the splits.
        test_fraction: Of the pictures without an official split.
        val_fraction: Of what is not test.
        resize: Pixels of the short side of larger pictures, or None.
        quality: Of the JPEG files that `resize` makes.
        max_pixels: Of the largest picture that is decoded.
        max_bytes: Of the largest file that is decoded.
    """

    name: str
    channels: int
    image_size: int
    seed: int
    test_fraction: float
    val_fraction: float
    resize: int | None
    quality: int
    max_pixels: int
    max_bytes: int

    def digest(self, encoding: str) -> str:
        """Of what matters for pictures of an encoding."""
        splits = [self.seed, self.test_fraction, self.val_fraction]
        if encoding == "raw":
            return data_digest([FORMAT, splits, self.channels, self.image_size])
        return data_digest(
            [FORMAT, splits, self.resize, self.quality if self.resize else None, self.max_pixels, self.max_bytes]
        )


@dataclass(frozen=True)
class Task:
    """Neighbouring pictures that become one shard.

    Attributes:
        digest: Hex sha256 of everything that the shard follows from.
        samples: The pictures; small when they are encoded, as they are read where the task is done.
        rules: How they are packed.
        folder: The folder of finished shards.
    """

    digest: str
    samples: Samples
    rules: Rules
    folder: Path


def tasks(
    chunks: Iterable[Samples], rules: Rules, folder: Path, *, limit: int, sources: Mapping[Path, str]
) -> Iterator[Task]:
    """Cuts the pictures of a source into tasks.

    Where encoded pictures are cut follows from a hash of their ids, so that an added picture changes the task it falls
    into and no other (content-defined chunking; Muthitacharoen et al., "A low-bandwidth network file system", SOSP
    2001); at the latest where `limit` is reached. Raw pictures are cut at the limit alone.

    Args:
        chunks: The pictures.
        rules: How they are packed.
        folder: The folder of finished shards.
        limit: Bytes of images in one shard.
        sources: sha256 of each of the source's files, by its path.

    Raises:
        RunError: The source has raw and encoded pictures, or raw ones of another shape than the config says.
    """
    encoding = None
    for samples in chunks:
        if encoding not in {None, samples.encoding}:
            raise RunError(f"data '{rules.name}' has {encoding} and {samples.encoding} pictures")
        encoding = samples.encoding
        sizes = _sizes(samples, rules)
        valid = replace(rules, val_fraction=0.0) if samples.whole_train else rules
        keys = sample_keys(samples.ids) if encoding == "encoded" else None
        for part in cuts(sizes, keys, min(limit, _MOST)):
            piece = _piece(samples, part)
            yield Task(_digest(piece, valid, sources), piece, valid, folder)


def cuts(sizes: NDArray[np.int64], keys: NDArray[np.uint64] | None, limit: int) -> Iterator[slice]:
    """Where to cut.

    Args:
        sizes: Bytes of each image, int64 [N].
        keys: uint64 [N], a hash of each id; None: cut where the limit is reached and nowhere else.
        limit: Bytes of one piece; a larger single image is a piece of its own.
    """
    ends: list[bool] = [False] * len(sizes)
    if keys is not None:
        ends = (keys.astype(np.float64) * 2.0**-64 < sizes * (_MEAN / limit)).tolist()
    begin, used = 0, 0
    for at, size in enumerate(sizes.tolist()):
        if at > begin and used + size > limit:
            yield slice(begin, at)
            begin, used = at, 0
        used += size
        if ends[at] and used * _LEAST >= limit:
            yield slice(begin, at + 1)
            begin, used = at + 1, 0
    if begin < len(sizes):
        yield slice(begin, len(sizes))


def _sizes(samples: Samples, rules: Rules) -> NDArray[np.int64]:
    if isinstance(samples.images, Members):
        # What an archive says of a size may be a lie; larger files are not read.
        return np.clip(samples.images.sizes, 0, rules.max_bytes).astype(np.int64)
    shape = (rules.image_size, rules.image_size, rules.channels)
    if samples.images.shape != (len(samples), *shape):
        raise RunError(
            f"data '{rules.name}' has pictures of shape {samples.images.shape[1:]} where {shape} is expected"
        )
    return np.full(len(samples), int(np.prod(shape)), np.int64)


def _piece(samples: Samples, part: slice) -> Samples:
    images = samples.images
    return replace(
        samples,
        ids=samples.ids[part],
        members=samples.members[part],
        labels=samples.labels[part],
        images=images.take(part) if isinstance(images, Members) else images[part],
        problems=samples.problems[part] if samples.problems is not None else None,
        sha256=samples.sha256[part] if samples.sha256 is not None else None,
    )


def _digest(samples: Samples, rules: Rules, sources: Mapping[Path, str]) -> str:
    hasher = hashlib.sha256(rules.digest(samples.encoding).encode())

    def add(value: Any) -> None:
        hasher.update(data_digest(value).encode())

    add([list(samples.ids), list(samples.members), samples.split, samples.encoding])
    add(list(samples.problems) if samples.problems is not None else None)
    hasher.update(samples.labels.astype("<i8").tobytes())
    images = samples.images
    if not isinstance(images, Members):
        hasher.update(np.ascontiguousarray(images).data)
    elif samples.sha256 is not None:
        add(list(samples.sha256))
    else:
        add([sources[path] for path in images.files])
        for column in (images.file, images.offset, images.stored, images.sizes, images.kind, images.zipped, images.crc):
            hasher.update(column.astype("<i8").tobytes())
    return hasher.hexdigest()
