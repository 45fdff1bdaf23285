"""What a reader gives: some pictures of a source at a time, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
Encoding = Literal["raw", "png", "jpeg"]


@dataclass(frozen=True)
class Samples:
    """Pictures with their labels.

    Attributes:
        ids: What names each picture in the data set, stable from one preparation to the next.
        members: Where each lies in the source, as in ``train-images-idx3-ubyte.gz[7]``.
        labels: Indices into the config's classes, int64 of shape [N].
        images: uint8 of shape [N, H, W, C] for the encoding ``raw``, else N files as they are.
        split: The publisher's split, or None where there is none.
        encoding: Of the images.
    """

    ids: Sequence[str]
    members: Sequence[str]
    labels: NDArray[np.int64]
    images: NDArray[np.uint8] | Sequence[bytes]
    split: SplitName | None = None
    encoding: Encoding = "raw"

    def __len__(self) -> int:
        return len(self.ids)


def checked_labels(labels: NDArray[np.uint8], classes: Sequence[str], where: str) -> NDArray[np.int64]:
    """The labels as int64.

    Raises:
        RunError: A label is no index of `classes`.
    """
    wrong = np.flatnonzero(labels >= len(classes))
    if len(wrong):
        at = int(wrong[0])
        raise RunError(
            f"{where} has label {int(labels[at])} at position {at:,}, but data.classes names {len(classes)} classes "
            f"(0 to {len(classes) - 1})"
        )
    return labels.astype(np.int64)
