"""Pictures of a source into a folder of shards with a manifest."""

from __future__ import annotations

import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.files import link_or_copy
from fovea.core.resources import usable_cores
from fovea.datasets.samples import Encoding, Samples, SplitName
from fovea.shards import entries, executors, quality
from fovea.shards.collect import Collected, collect
from fovea.shards.entries import Finished
from fovea.shards.judge import Verdict, judge
from fovea.shards.manifest import manifest_rows, write_manifest
from fovea.shards.meta import MANIFEST, QUARANTINE, FileInfo
from fovea.shards.quarantine import write_quarantine
from fovea.shards.tasks import Rules, Task, tasks
from fovea.shards.validation import check_manifest
from fovea.shards.work import run

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig, PrepareConfig

_LOG = logging.getLogger(__name__)
_SILENCE = 20.0  # seconds between two words on how far it has come


@dataclass(frozen=True)
class Packed:
    """The files that were written and what they hold; the attributes are those of `fovea.shards.meta.Meta`."""

    encoding: Encoding
    counts: dict[str, int]
    shards: tuple[FileInfo, ...]
    manifest: FileInfo
    quarantine: FileInfo
    left_out: dict[str, list[int]]
    quality: dict[str, Any]


def pack(
    chunks: Iterable[Samples],
    folder: Path,
    data: DataConfig,
    config: PrepareConfig,
    *,
    classes: Sequence[str] | None = None,
    sources: Mapping[Path, str] | None = None,
    store: Path | None = None,
) -> Packed:
    """Examines, splits, compares and writes the pictures and their manifest into `folder`.

    Args:
        chunks: The pictures.
        folder: An empty folder.
        data: The data set.
        config: How to split and pack, and who does it.
        classes: The names of the classes; None: those of the config.
        sources: sha256 of each of the source's files, by its path.
        store: The folder of finished shards, which are used again; None: there is none.

    Raises:
        UserError: There is no such executor.
        RunError: Too many pictures cannot be used, a class has none, two have one id, none is left for training, one
            has changed since it was listed, or the disk is full or not writable.
        OSError: Writing failed.
    """
    names = list(classes if classes is not None else data.classes or [])
    kept = store if store is not None else folder / ".shards"
    kept.mkdir(parents=True, exist_ok=True)
    limit = config.shard_mb * 1_000_000
    todo = tasks(chunks, rules(data, config), kept, limit=limit, sources=sources or defaultdict(str))
    work = _Work(todo, config)
    try:
        with closing(work.finished()) as finished:
            collected = collect(finished, kept, data.name)
    finally:
        entries.clear_unfinished(kept)
    rejected = folder.parent / f"{data.name}-rejected.csv"
    quality.check_rejected(collected, config.max_bad_fraction, rejected, data.name)
    verdict = judge(
        collected.pictures(),
        duplicates=config.duplicates,
        near_distance=config.near_distance if work.encoding == "encoded" else None,
        leakage=config.leakage,
    )
    quality.check_classes(collected, verdict, names, data.name)
    packed = _write(collected, verdict, folder, kept, names, data.name, work.encoding)
    if store is None:
        shutil.rmtree(kept)
    return packed


def rules(data: DataConfig, config: PrepareConfig) -> Rules:
    """What the content of a shard follows from."""
    return Rules(
        name=data.name,
        channels=data.channels,
        image_size=data.image_size,
        seed=config.seed,
        test_fraction=config.test_fraction,
        val_fraction=config.val_fraction,
        resize=config.resize,
        quality=config.quality,
        max_pixels=config.max_pixels,
        max_bytes=config.max_mb * 1_000_000,
    )


class _Work:
    """The tasks as they are done; `encoding` is that of the pictures, known once the first is there."""

    def __init__(self, todo: Iterator[Task], config: PrepareConfig) -> None:
        self._todo = todo
        self._config = config
        self._official: list[SplitName | None] = []
        self.encoding: Encoding = "raw"

    def finished(self) -> Generator[tuple[Finished, SplitName | None], None, None]:
        config = self._config
        executors.check(config.executor)
        first = list(islice(self._todo, 2))
        if not first:
            return
        self.encoding = first[0].samples.encoding
        # Raw pixels take milliseconds, and one task has nobody to share it with.
        name = "serial" if len(first) < 2 or self.encoding == "raw" else config.executor
        window = 2 * (config.workers or usable_cores()) if name != "serial" else 1
        done, said = 0, time.monotonic()
        with executors.opened(name, config.workers, config.scheduler) as executor:
            results = executors.in_order(executor, run, self._noted(chain(first, self._todo)), window=window)
            for number, finished in enumerate(results):
                yield finished, self._official[number]
                done += finished.pictures
                if time.monotonic() - said > _SILENCE:
                    _LOG.info("prepare: %s pictures so far", f"{done:,}")
                    said = time.monotonic()

    def _noted(self, todo: Iterable[Task]) -> Iterator[Task]:
        for task in todo:
            self._official.append(task.samples.split)
            yield task


def _write(
    collected: Collected,
    verdict: Verdict,
    folder: Path,
    store: Path,
    classes: Sequence[str],
    name: str,
    encoding: Encoding,
) -> Packed:
    shards = []
    for number, shard in enumerate(collected.shards):
        shards.append(FileInfo(f"shard-{number:05d}.arrow", shard.rows, shard.bytes, shard.sha256))
        link_or_copy(store / shard.name, folder / shards[-1].name)
    rows = manifest_rows(collected, verdict, classes, [shard.name for shard in shards])
    write_manifest(folder / MANIFEST, rows, lambda part: check_manifest(part, name, len(classes)))
    unusable = write_quarantine(folder / QUARANTINE, [store / part.name for part in collected.quarantines])
    return Packed(
        encoding,
        quality.counts(collected, verdict),
        tuple(shards),
        entries.described(folder / MANIFEST, len(collected)),
        entries.described(folder / QUARANTINE, unusable),
        quality.left_out_rows(collected, verdict),
        quality.summary(collected, verdict, classes),
    )
