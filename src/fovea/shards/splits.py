"""Which split a picture belongs to: the publisher's, else one that follows from its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fovea.datasets.samples import SPLITS, SplitName

TRAIN, VAL, TEST = range(len(SPLITS))


def assign(
    pixel_digests: Sequence[bytes], official: SplitName | None, *, seed: int, test_fraction: float, val_fraction: float
) -> NDArray[np.int8]:
    """The split of each picture, as an index into `SPLITS`.

    Each picture is looked at alone: a hash of its pixels and the seed is a number in [0, 1), and the fractions cut that
    range. So a new picture moves no old one, and identical pictures share a split. An official test or validation split
    stands; validation pictures are taken out of the official training split in the same way.

    Args:
        pixel_digests: sha256 of each picture's pixels.
        official: The publisher's split of all of them, if any.
        seed: Another seed gives another split.
        test_fraction: Of the pictures without an official split.
        val_fraction: Of what is not test.

    Returns:
        int8 of shape [N].
    """
    if official in {"val", "test"}:
        return np.full(len(pixel_digests), SPLITS.index(official), np.int8)
    prefix = f"fovea split {seed} ".encode()
    hashes = b"".join(hashlib.sha256(prefix + digest).digest()[:8] for digest in pixel_digests)
    position = (np.frombuffer(hashes, ">u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53
    test = 0.0 if official == "train" else test_fraction
    splits = np.full(len(pixel_digests), TRAIN, np.int8)
    splits[position < test + (1.0 - test) * val_fraction] = VAL
    splits[position < test] = TEST
    return splits
