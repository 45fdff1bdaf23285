"""Pairs of close hashes: all of them, whatever the order, and no more work where crowds are alike."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fovea.pictures import near_duplicates


def flipped(hashes: NDArray[np.uint64], bits: int, rng: np.random.Generator) -> NDArray[np.uint64]:
    result = hashes.copy()
    for row in range(len(hashes)):
        for place in rng.choice(64, bits, replace=False):
            result[row] ^= np.uint64(1) << np.uint64(place)
    return result


def every_pair(phash: NDArray[np.uint64], dhash: NDArray[np.uint64], distance: int) -> list[list[int]]:
    close = np.bitwise_count(phash[:, None] ^ phash) <= distance
    close &= np.bitwise_count(dhash[:, None] ^ dhash) <= 2 * distance + 2
    close &= (phash[:, None] != 0) & (phash != 0)
    return np.argwhere(np.triu(close, 1)).tolist()


@pytest.mark.parametrize("distance", range(9))
def test_all_pairs_are_found(distance: int) -> None:
    rng = np.random.default_rng(distance)
    base = rng.integers(1, 2**64, 150, dtype=np.uint64)
    phash = np.concatenate([base, *(flipped(base, bits, rng) for bits in (0, 1, distance, distance + 1))])
    dhash = np.tile(rng.integers(0, 2**64, 150, dtype=np.uint64), 5)
    dhash[300:] = flipped(dhash[300:], min(2 * distance + 2, 16), rng)
    order = rng.permutation(len(phash))
    phash, dhash = phash[order], dhash[order]
    expected = every_pair(phash, dhash, distance)
    assert len(expected) >= 150
    assert near_duplicates(phash, dhash, distance).tolist() == expected


def test_pictures_that_show_nothing_have_no_partner() -> None:
    nothing = np.zeros(1000, np.uint64)
    pairs = near_duplicates(nothing, nothing, 8)
    assert (pairs.shape, pairs.dtype) == ((0, 2), np.int64)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_have_no_pairs(rows: int) -> None:
    assert near_duplicates(np.ones(rows, np.uint64), np.ones(rows, np.uint64), 3).shape == (0, 2)


def test_equal_difference_hashes_are_needed_too() -> None:
    phash = np.array([5, 5], np.uint64)
    assert near_duplicates(phash, np.array([0, 2**9 - 1], np.uint64), 3).tolist() == []
    assert near_duplicates(phash, np.array([0, 2**8 - 1], np.uint64), 3).tolist() == [[0, 1]]


def test_each_of_a_crowd_of_equals_is_paired_with_the_first() -> None:
    rows = 20_000
    pairs = near_duplicates(np.full(rows, 7, np.uint64), np.full(rows, 9, np.uint64), 3)
    assert np.array_equal(pairs, np.stack([np.zeros(rows - 1, int), np.arange(1, rows)], axis=1))


def test_a_crowd_of_nearly_equals_gives_few_pairs() -> None:
    rng = np.random.default_rng(0)
    rows = 3000
    phash = flipped(np.full(rows, 2**63 + 12345, np.uint64), 2, rng)
    dhash = rng.integers(0, 2**10, rows, dtype=np.uint64)
    pairs = near_duplicates(phash, dhash, 4)
    assert 0 < len(pairs) < 200 * rows
    assert (pairs[:, 0] < pairs[:, 1]).all()
    # Each has found another one nevertheless.
    assert len(np.unique(pairs)) == rows
