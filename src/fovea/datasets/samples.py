"""What a reader gives: some pictures of a source at a time, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.datasets.members import Members

PROBLEMS = (
    "unsafe_name",  # leads out of the archive or the folder
    "not_a_file",  # a link, a device, a link that leads out of the folder
    "duplicate_member",  # a second one of the same name
    "overlapping",  # shares bytes with another member
    "unsupported_compression",
    "encrypted",
    "damaged",  # the archive's own facts about it cannot be true
    "no_label",  # nothing tells its class
    "missing",  # a table names it, the folder does not have it
    "unreadable",
)
"""What archives and folders find wrong with a picture before it is looked at."""

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
Encoding = Literal["raw", "encoded"]


@dataclass(frozen=True)
class Samples:
    """Pictures with their labels.

    Attributes:
        ids: What names each picture in the data set, stable from one preparation to the next.
        members: Where each lies in the source, as in ``train-images-idx3-ubyte.gz[7]``.
        labels: Indices into the config's classes, int64 of shape [N].
        images: uint8 of shape [N, H, W, C] for the encoding ``raw``, else where N picture files lie.
        split: The publisher's split, or None where there is none.
        encoding: Of the images.
        problems: For each picture what the archive or the folder itself is reason enough to leave it aside, one of
            `PROBLEMS`, or None; a label of such a row may be -1. None: no problem anywhere.
        sha256: Of each file when the folder was listed, 64 hexadecimal digits or None where it could not be read. None
            where the archive's own digest speaks for them all.
        whole_train: The publisher has a validation split too, so that none is cut out of the training split.
    """

    ids: Sequence[str]
    members: Sequence[str]
    labels: NDArray[np.int64]
    images: NDArray[np.uint8] | Members
    split: SplitName | None = None
    encoding: Encoding = "raw"
    problems: Sequence[str | None] | None = None
    sha256: Sequence[str | None] | None = None
    whole_train: bool = False

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
