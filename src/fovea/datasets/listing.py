"""The listing of a folder of pictures: what ingest saw of each file, kept as an Arrow IPC file.

It has a record batch for each class and split and is the same to the byte for the same files, so that its digest stands
for the data set.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.core.files import atomic_file
from fovea.core.locks import waiting
from fovea.datasets.archives import decoded, distinct
from fovea.datasets.fetch import Fetched
from fovea.datasets.folders import Group
from fovea.datasets.members import PLAIN, Members
from fovea.datasets.samples import SPLITS, Samples, SplitName
from fovea.datasets.seen import Memory, Seen, see
from fovea.datasets.source import SourceFiles
from fovea.datasets.wanted import measure

ROLE = "listing"
_LOG = logging.getLogger(__name__)
_NAME, _MEMORY = "listing.arrow", ".listing-seen.arrow"
_THREADS = 4


def make(folder: Path, groups: Iterable[Group], store: Path) -> Fetched:
    """Lists the pictures of `folder` into ``<store>/listing.arrow``; only what has changed since is read.

    Args:
        folder: The folder of the data set, absolute; it is never written to.
        groups: The pictures, class by class.
        store: The folder of raw data of the data set.

    Raises:
        RunError: The disk is full or not writable.
    """
    import pyarrow as pa

    path, base = store / _NAME, os.fsencode(folder)
    total, fresh = 0, 0
    with waiting(store / ".listing.lock", f"listing {folder}"), ExitStack() as stack:
        memory = Memory(store / _MEMORY, folder)
        rows = pa.ipc.new_file(str(stack.enter_context(atomic_file(path))), _schema())
        stack.enter_context(rows)
        remember = stack.enter_context(memory.anew())
        pool = stack.enter_context(ThreadPoolExecutor(_THREADS))
        for group in sorted((one for one in groups if one.paths), key=_order):
            known = memory.of(group.label, group.split)
            seen = list(pool.map(partial(see, base, known), group.paths, group.problems))
            rows.write_batch(_batch(group, seen))
            remember(group.label, group.split, group.paths, seen)
            total += len(seen)
            fresh += sum(
                one.sha256 is not None and one is not known.get(at) for at, one in zip(group.paths, seen, strict=True)
            )
    _LOG.info("%s files listed in '%s', %s of them read", f"{total:,}", folder, f"{fresh:,}")
    return Fetched(path, measure(path), str(folder), fresh=False)


def read(source: SourceFiles, classes: Sequence[str]) -> Iterator[Samples]:
    """The listed pictures, a class of a split at a time.

    Args:
        source: A source with a listing.
        classes: The labels as the listing has them, in the order of their numbers; others are passed over.

    Raises:
        RunError: The listing cannot be read, or is that of another run by now.
    """
    numbers = {label: number for number, label in enumerate(classes)}
    whole_train = any(batch["split"][0].as_py() == "val" for batch in _batches(source))
    for batch in _batches(source):
        label = batch["label"][0].as_py()
        if label not in numbers:
            continue
        paths = batch["path"].to_pylist()
        yield Samples(
            ids=batch["id"].to_pylist(),
            members=[decoded(path) for path in paths],
            labels=np.full(len(paths), numbers[label], np.int64),
            images=_members(source, paths, batch["bytes"].to_numpy()),
            split=cast("SplitName | None", batch["split"][0].as_py()),
            encoding="encoded",
            problems=batch["problem"].to_pylist(),
            sha256=batch["sha256"].to_pylist(),
            whole_train=whole_train,
        )


def labels(source: SourceFiles) -> list[str]:
    """The labels of a listing, sorted.

    Raises:
        RunError: The listing cannot be read.
    """
    return sorted({batch["label"][0].as_py() for batch in _batches(source)})


def _order(group: Group) -> tuple[int, str]:
    return (-1 if group.split is None else SPLITS.index(group.split), group.label)


def _schema() -> Any:
    import pyarrow as pa

    text = pa.string()
    columns = {"id": text, "path": pa.binary(), "label": text, "split": text, "problem": text, "bytes": pa.int64()}
    return pa.schema([*columns.items(), ("sha256", text)])


def _batch(group: Group, seen: Sequence[Seen]) -> Any:
    import pyarrow as pa

    count = len(seen)
    columns = [
        distinct([decoded(path) for path in group.paths]) if group.ids is None else group.ids,
        group.paths,
        [group.label] * count,
        [group.split] * count,
        [one.problem for one in seen],
        [one.size for one in seen],
        [one.sha256 for one in seen],
    ]
    schema = _schema()
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _batches(source: SourceFiles) -> Iterator[Any]:
    import pyarrow as pa

    path = source.files.get(ROLE)
    if path is None or source.pictures is None:
        raise RunError("the source has no listing of pictures; run `kedro run --pipelines=ingest` with this config")
    try:
        with pa.memory_map(str(path)) as stream:
            table = pa.ipc.open_file(stream)
            _check_own(source, stream)
            for number in range(table.num_record_batches):
                yield table.get_batch(number)
    except (OSError, pa.ArrowInvalid) as error:
        raise RunError(f"'{path}' cannot be read ({error}); run `kedro run --pipelines=ingest`") from error


def _check_own(source: SourceFiles, stream: Any) -> None:
    """Another run of the same name lists into the same file, and may have found other pictures."""
    stream.seek(0)
    digest = hashlib.sha256(stream.read_buffer()).hexdigest()
    if digest not in {entry.sha256 for entry in source.entries if entry.role == ROLE}:
        raise RunError(
            f"'{source.files[ROLE]}' is another listing than this run's, made by a run of the same data.name since; "
            "run the same command again, or give each folder a data.name of its own"
        )


def _members(source: SourceFiles, paths: Sequence[bytes], sizes: NDArray[np.int64]) -> Members:
    count, base = len(paths), cast(Path, source.pictures)
    return Members(
        files=tuple(base / os.fsdecode(path) for path in paths),
        file=np.arange(count, dtype=np.int32),
        offset=np.zeros(count, np.int64),
        stored=sizes,
        sizes=sizes,
        kind=np.full(count, PLAIN, np.int8),
        zipped=np.zeros(count, np.bool_),
        crc=np.full(count, -1, np.int64),
    )
