"""Puts the results of all tasks together, in the order of the source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.datasets.samples import SPLITS, SplitName
from fovea.shards import columns
from fovea.shards.entries import Finished
from fovea.shards.judge import Pictures
from fovea.shards.meta import FileInfo


@dataclass(frozen=True)
class Collected:
    """Every picture of a source.

    Attributes:
        facts: An Arrow table with the columns of `columns.FACTS`.
        official: The publisher's split, an index into `SPLITS`, int8 [N]; -1 where there is none.
        shard: Number of the shard, int32 [N]; meaningless for quarantined pictures.
        shards: The shards, as they lie in the folder of finished ones.
        quarantines: The files of unusable pictures there.
    """

    facts: Any
    official: NDArray[np.int8]
    shard: NDArray[np.int32]
    shards: tuple[FileInfo, ...]
    quarantines: tuple[FileInfo, ...]

    def __len__(self) -> int:
        return len(self.official)

    def numbers(self, name: str, missing: int) -> NDArray[Any]:
        """A column of whole numbers or booleans, with `missing` in place of null."""
        column = self.facts[name].combine_chunks()
        return np.asarray(column.fill_null(missing).to_numpy(zero_copy_only=False))

    def pictures(self) -> Pictures:
        """What pictures are compared by."""
        digests = self.facts["sha256"].combine_chunks().fill_null(bytes(32))
        words = np.frombuffer(digests.buffers()[1], np.uint64)[4 * digests.offset :][: 4 * len(digests)]
        return Pictures(
            words.reshape(-1, 4),
            self.numbers("label", -1).astype(np.int64),
            self.numbers("split", -1).astype(np.int8),
            self.official,
            self.numbers("phash", 0).astype(np.uint64),
            self.numbers("dhash", 0).astype(np.uint64),
        )


def collect(finished: Iterable[tuple[Finished, SplitName | None]], folder: Path, name: str) -> Collected:
    """Reads what the tasks found out.

    Args:
        finished: The finished tasks in the order of the source, each with the publisher's split of its pictures.
        folder: The folder of finished shards.
        name: The data set's.

    Raises:
        RunError: There is no picture at all, or two have one id.
    """
    tables: list[Any] = []
    official: list[NDArray[np.int8]] = [np.empty(0, np.int8)]
    shard: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    shards: list[FileInfo] = []
    quarantines: list[FileInfo] = []
    for one, split in finished:
        with (folder / one.facts.name).open("rb") as file:
            tables.append(pa.ipc.open_file(file).read_all())
        official.append(np.full(one.pictures, SPLITS.index(split) if split else -1, np.int8))
        shard.append(np.full(one.pictures, len(shards), np.int32))
        shards += [one.shard] if one.shard else []
        quarantines += [one.quarantine] if one.quarantine else []
    facts = pa.concat_tables(tables) if tables else columns.FACTS.empty_table()
    if not len(facts):
        raise RunError(f"data '{name}' has no pictures")
    _check_ids(facts["id"], name)
    return Collected(facts, np.concatenate(official), np.concatenate(shard), tuple(shards), tuple(quarantines))


def _check_ids(ids: Any, name: str) -> None:
    counted = ids.value_counts()
    if len(counted) < len(ids):
        twice = next(entry["values"] for entry in counted.to_pylist() if entry["counts"] > 1)
        raise RunError(f"data '{name}' has two pictures with one id, '{twice}'")
