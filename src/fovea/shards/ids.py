"""The ids of a split, taken out of the shards as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Ids(Sequence[str]):
    """Some rows of a text column that lies in mapped files.

    Args:
        chunks: The Arrow arrays of the column.
        rows: Which of its rows, int64 [N], growing.
    """

    def __init__(self, chunks: Sequence[Any], rows: NDArray[np.int64]) -> None:
        self._column = pa.chunked_array(chunks, pa.string())
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        text: str = self._column[int(self._rows[at])].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        start = 0
        for chunk in self._column.chunks:
            first, end = np.searchsorted(self._rows, (start, start + len(chunk)))
            names = chunk.to_pylist()
            yield from (names[row - start] for row in self._rows[first:end].tolist())
            start += len(chunk)
