"""What is done for one task: its pictures are read, looked at, assigned to splits and written into a shard.

A task is done by whoever has it, a process of this machine or a worker of a cluster, and comes out the same. Its memory
does not grow with the number of pictures.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.core.files import atomic_file, require_space
from fovea.datasets.members import Members
from fovea.shards import columns, entries
from fovea.shards.entries import Finished
from fovea.shards.facts import Facts
from fovea.shards.keys import sample_keys
from fovea.shards.look import Unusable, Usable, look
from fovea.shards.meta import FileInfo
from fovea.shards.splits import assign
from fovea.shards.tasks import Rules, Task
from fovea.shards.writer import Row, ShardWriter, write_raw, write_table

if TYPE_CHECKING:
    from fovea.pictures import Examined

_SHOWN = 256_000  # first bytes of an unusable picture that are kept to be looked at
_SHOWN_TOGETHER = 8_000_000  # of one task
_ROW = 200  # bytes a row takes beside its image, about


def run(task: Task) -> Finished:
    """Does a task, or finds it done.

    Raises:
        RunError: A picture has changed since it was listed or its archive cannot be read, or the disk is full or not
            writable.
    """
    done = entries.find(task.folder, task.digest)
    if done is not None:
        return done
    require_space(task.folder, _needed(task), f"the shards of data '{task.rules.name}'")
    path = entries.shard_path(task.folder, task.digest)
    facts = Facts(task.samples)
    with atomic_file(path) as temporary:
        rows = _pack_raw(task, facts, temporary) if task.samples.encoding == "raw" else _pack(task, facts, temporary)
    shard = entries.described(path, rows) if rows else None
    if shard is None:
        path.unlink()
    finished = Finished(task.digest, len(task.samples), shard, *_tables(task, facts))
    entries.finish(task.folder, finished)
    return finished


def _needed(task: Task) -> int:
    """Bytes on the disk, about."""
    rows, images = _ROW * len(task.samples), task.samples.images
    if isinstance(images, Members):
        return rows + int(np.clip(images.sizes, 0, task.rules.max_bytes).sum())
    return rows + images.nbytes


def _tables(task: Task, facts: Facts) -> tuple[FileInfo, FileInfo | None]:
    path = entries.facts_path(task.folder, task.digest)
    with atomic_file(path) as temporary:
        write_table(temporary, columns.FACTS, facts.columns())
    found = entries.described(path, len(task.samples))
    unusable = facts.unusable()
    if not unusable["id"]:
        return found, None
    path = entries.quarantine_path(task.folder, task.digest)
    with atomic_file(path) as temporary:
        write_table(temporary, columns.QUARANTINE, unusable)
    return found, entries.described(path, len(unusable["id"]))


def _pack_raw(task: Task, facts: Facts, path: Path) -> int:
    """Rows are sorted by split, so that each split lies in one piece."""
    samples, rules = task.samples, task.rules
    pixels = np.ascontiguousarray(samples.images)
    digests = [hashlib.sha256(image.data).digest() for image in pixels]
    splits = np.array([_split(task, digest) for digest in digests], np.int8)
    order = np.argsort(splits, kind="stable")
    keys, labels = sample_keys(samples.ids).tolist(), samples.labels.tolist()
    side = rules.image_size
    rows = [Row(samples.ids[at], keys[at], labels[at], int(splits[at]), side, side, 1, b"") for at in order.tolist()]
    write_raw(path, rows, pixels[order])
    facts.add_raw(digests, splits, np.argsort(order, kind="stable"), rules)
    return len(rows)


def _pack(task: Task, facts: Facts, path: Path) -> int:
    samples, shown = task.samples, 0
    keys, labels = sample_keys(samples.ids).tolist(), samples.labels.tolist()
    with ShardWriter(path) as writer:
        for at, name in enumerate(samples.ids):
            picture = look(task, at)
            if isinstance(picture, Unusable):
                part = (picture.data or b"")[:_SHOWN] if shown < _SHOWN_TOGETHER else b""
                shown += len(part)
                facts.quarantine(at, picture, part if picture.data is not None else None)
                continue
            split = _split(task, _content(picture))
            image, height, width, turn = _stored(picture.examined, task.rules)
            row = writer.append(Row(name, keys[at], labels[at], split, height, width, turn, image))
            facts.keep(at, split, row, picture)
        return writer.rows


def _content(picture: Usable) -> bytes:
    """What the split of an encoded picture follows from: what it shows, or its bytes where it shows nothing.

    A copy that was saved in another format, in grey or without its header mostly has the same perceptual hash, and so
    falls into the split of the original.
    """
    return hashlib.sha256(b"%016x" % picture.examined.phash).digest() if picture.examined.phash else picture.digest


def _split(task: Task, content: bytes) -> int:
    rules = task.rules
    return assign(
        content,
        task.samples.split,
        seed=rules.seed,
        test_fraction=rules.test_fraction,
        val_fraction=rules.val_fraction,
    )


def _stored(examined: Examined, rules: Rules) -> tuple[bytes, int, int, int]:
    """The bytes that the shard keeps of a picture, its height and width, and the turn that is left to the reader."""
    if rules.resize is None or min(examined.height, examined.width) <= rules.resize:
        return examined.packed, examined.height, examined.width, examined.turn
    from fovea.pictures import decode
    from fovea.shards.reduce import reduce

    return reduce(decode(examined.packed, examined.channels), examined.turn, rules.resize, rules.quality)
