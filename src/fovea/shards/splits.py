"""Which split a picture belongs to: the publisher's, else one that follows from its content."""

from __future__ import annotations

import hashlib

from fovea.datasets.samples import SPLITS, SplitName

TRAIN, VAL, TEST = range(len(SPLITS))


def assign(content: bytes, official: SplitName | None, *, seed: int, test_fraction: float, val_fraction: float) -> int:
    """The split of a picture, as an index into `SPLITS`.

    Each picture is looked at alone: a hash of its content and the seed is a number in [0, 1), and the fractions cut
    that range. So a new picture moves no old one, and identical pictures share a split. An official test or validation
    split stands; validation pictures are taken out of the official training split in the same way.

    Args:
        content: 32 bytes that stand for what the picture shows: the sha256 of raw pixels, say.
        official: The publisher's split, if any.
        seed: Another seed gives another split.
        test_fraction: Of the pictures without an official split.
        val_fraction: Of what is not test.
    """
    if official in {"val", "test"}:
        return SPLITS.index(official)
    digest = hashlib.sha256(b"fovea split %d " % seed + content).digest()
    position = (int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53
    test = 0.0 if official == "train" else test_fraction
    if position < test:
        return TEST
    return VAL if position < test + (1.0 - test) * val_fraction else TRAIN
