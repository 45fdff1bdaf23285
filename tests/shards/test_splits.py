from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.shards.splits import TEST, VAL, assign

DIGESTS = [hashlib.sha256(str(number).encode()).digest() for number in range(20_000)]


def parts(digests: list[bytes], official: str | None = None, **changes: float) -> list[int]:
    settings = {"seed": 0, "test_fraction": 0.2, "val_fraction": 0.1} | changes
    return [assign(digest, official, **settings) for digest in digests]  # type: ignore[arg-type]


def test_the_fractions_are_kept() -> None:
    counts = np.bincount(parts(DIGESTS)) / len(DIGESTS)
    np.testing.assert_allclose(counts, [0.72, 0.08, 0.2], atol=0.01)
    counts = np.bincount(parts(DIGESTS, "train")) / len(DIGESTS)
    np.testing.assert_allclose(counts, [0.9, 0.1], atol=0.01)


@pytest.mark.parametrize(("official", "code"), [("test", TEST), ("val", VAL)])
def test_an_official_split_stands(official: str, code: int) -> None:
    assert set(parts(DIGESTS[:100], official)) == {code}


def test_the_assignment_is_the_same_for_ever() -> None:
    assert parts(DIGESTS[:16]) == [2, 0, 0, 2, 0, 0, 2, 0, 1, 2, 1, 0, 0, 0, 1, 2]


def test_another_seed_gives_another_split() -> None:
    first, second = np.array(parts(DIGESTS)), np.array(parts(DIGESTS, seed=1))
    together = np.mean((first == TEST) & (second == TEST))
    assert together == pytest.approx(0.2 * 0.2, abs=0.01)


@settings(deadline=None, max_examples=50)
@given(
    old=st.lists(st.binary(min_size=32, max_size=32), max_size=30),
    new=st.lists(st.binary(min_size=32, max_size=32), max_size=30),
    order=st.randoms(use_true_random=False),
)
def test_new_pictures_move_no_old_one_and_equal_pictures_stay_together(
    old: list[bytes], new: list[bytes], order: object
) -> None:
    before = dict(zip(old, parts(old), strict=True)) if old else {}
    mixed = old + new + old
    order.shuffle(mixed)  # type: ignore[attr-defined]
    after: dict[bytes, set[int]] = {}
    for digest, split in zip(mixed, parts(mixed), strict=True):
        after.setdefault(digest, set()).add(split)
    assert all(len(splits) == 1 for splits in after.values())
    assert all(after[digest] == {split} for digest, split in before.items())


def test_a_larger_test_fraction_keeps_the_old_test_pictures() -> None:
    small, large = np.array(parts(DIGESTS)), np.array(parts(DIGESTS, test_fraction=0.4))
    assert np.all(large[small == TEST] == TEST)
