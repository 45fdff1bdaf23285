"""Rows of splits as a split of their own: what a fold of cross-validation trains on, or is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fovea.datasets.samples import SplitName
from fovea.shards.reader import Part, Split


class Selection(Split):
    """Some rows of one or more splits of the same prepared data, in that order, with all that a `Split` offers.

    The pictures stay in the shards. What was computed once for whole splits (decoded pictures, the features of a frozen
    network) serves every selection of them: `parts` says which rows of which split it consists of.

    Args:
        name: train, val or test: what it serves as.
        parts: The splits and for each the rows, int64, growing; one at least, each may be without rows.
    """

    def __init__(self, name: SplitName, parts: Sequence[Part]) -> None:
        # Not `Split.__init__`, which opens shards: those of the parts are open.
        splits, rows = [split for split, _ in parts], [chosen for _, chosen in parts]
        self.name = name
        self.encoded = splits[0].encoded
        self.labels = np.concatenate([split.labels[chosen] for split, chosen in parts])
        self.keys = np.concatenate([split.keys[chosen] for split, chosen in parts])
        self.sizes = np.concatenate([split.sizes[chosen] for split, chosen in parts])
        self._parts = list(parts)
        self._split = np.repeat(np.arange(len(parts)), [len(chosen) for chosen in rows])
        self._row = np.concatenate(rows)
        self.ids = _Ids(splits, self._split, self._row)
        self._images: NDArray[np.uint8] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Selection, (self.name, self._parts)

    @property
    def parts(self) -> list[Part]:
        """The splits that it is made of and for each its rows."""
        return self._parts

    def file(self, row: int) -> NDArray[np.uint8]:
        """The bytes of the picture at a row; see `Split.file`."""
        return self._at(row).file(int(self._row[row]))

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> NDArray[np.uint8]:
        """The picture at a row; see `Split.image`."""
        return self._at(row).image(int(self._row[row]), least_side=least_side, fast=fast)

    def _at(self, row: int) -> Split:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self._parts[int(self._split[row])][0]

    def _whole(self) -> NDArray[np.uint8]:
        """All pictures, copied together once."""
        wholes = [(split.images(), chosen) for split, chosen in self._parts]
        return np.concatenate([whole[chosen] for whole, chosen in wholes if whole is not None])


class _Ids(Sequence[str]):
    """Names of chosen rows, looked up as they are asked for."""

    def __init__(self, splits: Sequence[Split], split: NDArray[np.int64], row: NDArray[np.int64]) -> None:
        self._splits, self._split, self._row = splits, split, row

    def __len__(self) -> int:
        return len(self._row)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        return self._splits[int(self._split[at])].ids[int(self._row[at])]
