"""Finding pairs of close hashes among a million without comparing all with all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

# Blocks of the 64 bits of a hash: of two hashes that differ in at most d bits, one block differs in at most d // 3.
_BLOCKS = ((0, 22), (22, 21), (43, 21))
# More rows of equal blocks than that are a crowd: chance makes none up to ten million pictures. A row of a crowd is
# compared with so many others of it.
_CROWD = 32
# Rows of equal hashes of which all pairs are told, among them and with rows that are merely near.
_MOST_EQUAL, _MOST_NEAR = 32, 4
_CHUNK = 1 << 20

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]


def near_duplicates(phash: NDArray[np.uint64], dhash: NDArray[np.uint64], distance: int) -> NDArray[np.int64]:
    """Pairs of pictures that look the same: both hashes are close, bit by bit.

    Close are perceptual hashes that differ in at most `distance` bits while the difference hashes differ in at most
    ``2 * distance + 2``. Pairs are found through blocks of the hash, one of which is nearly the same in both
    (Norouzi, Punjani & Fleet 2012, "Fast search in Hamming space with multi-index hashing", section 2).

    All such pairs are found, but for crowds, which would take the square of their size: of more than 32 rows of equal
    hashes each is paired with the first alone, of more than 4 only the first with rows that are merely near, and of a
    thousand rows of nearly equal hashes each with some others.

    Args:
        phash: uint64 [N]; rows of 0 show nothing and have no partner.
        dhash: uint64 [N].
        distance: Bits, 0 to 8.

    Returns:
        int64 [M, 2], the smaller row first, sorted, each pair once.
    """
    rows = np.flatnonzero(phash)
    if len(rows) < 2:
        return np.empty((0, 2), np.int64)
    order = rows[np.lexsort((rows, dhash[rows], phash[rows]))]
    first = _group_starts(phash[order], dhash[order])
    sizes = np.diff(np.append(first, len(order)))
    groups = np.concatenate([_small(sizes), *_close(phash[order[first]], dhash[order[first]], distance)])
    # A pair may be found through several blocks.
    found = order[_expanded(np.unique(np.sort(groups, axis=1), axis=0), first, sizes)]
    found = np.concatenate([found, _stars(order, first, sizes)])
    found.sort(axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _group_starts(phash: Hashes, dhash: Hashes) -> Numbers:
    """Where each group of equal hashes begins in sorted rows."""
    return np.flatnonzero(np.concatenate([[True], (phash[1:] != phash[:-1]) | (dhash[1:] != dhash[:-1])]))


def _small(sizes: Numbers) -> Numbers:
    """Each group of some rows, paired with itself."""
    groups = np.flatnonzero((sizes > 1) & (sizes <= _MOST_EQUAL))
    return np.stack([groups, groups], axis=1)


def _stars(order: Numbers, first: Numbers, sizes: Numbers) -> Numbers:
    """The rows of each large group with its first."""
    group = np.repeat(np.arange(len(first)), sizes)
    places = np.flatnonzero((sizes > _MOST_EQUAL)[group])
    places = places[places != first[group[places]]]
    return np.stack([order[first[group[places]]], order[places]], axis=1)


def _expanded(groups: Numbers, first: Numbers, sizes: Numbers) -> Numbers:
    """The places of the rows of pairs of groups. Of two groups, the first row stands for one that is large."""
    left, right = groups.T
    told = np.where(sizes > _MOST_NEAR, 1, sizes)
    high, wide = (np.where(left == right, sizes[side], told[side]) for side in (left, right))
    pair, within = _ranges(high * wide)
    a, b = first[left[pair]] + within // wide[pair], first[right[pair]] + within % wide[pair]
    places: Numbers = np.stack([a, b], axis=1)[(left != right)[pair] | (a < b)]
    return places


def _ranges(counts: Numbers) -> tuple[Numbers, Numbers]:
    """The indices of `counts`, each so many times, and 0, 1, 2... within each."""
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)


def _close(phash: Hashes, dhash: Hashes, distance: int) -> Iterator[Numbers]:
    for shift, bits in _BLOCKS:
        block = (phash >> np.uint64(shift)).astype(np.int64) & ((1 << bits) - 1)
        order = np.argsort(block, kind="stable")
        block, ours, theirs = block[order], phash[order], dhash[order]
        begin = np.zeros((1 << bits) + 1, np.int64)
        np.cumsum(np.bincount(block, minlength=1 << bits), out=begin[1:])
        for flip in _flips(bits, distance // len(_BLOCKS)):
            for a, b in _candidates(block, begin, flip):
                near = np.flatnonzero(np.bitwise_count(ours[a] ^ ours[b]) <= distance)
                both = near[np.bitwise_count(theirs[a[near]] ^ theirs[b[near]]) <= 2 * distance + 2]
                yield order[np.stack([a[both], b[both]], axis=1)]


def _flips(bits: int, most: int) -> Iterator[int]:
    for count in range(most + 1):
        for places in combinations(range(bits), count):
            yield sum(1 << place for place in places)


def _candidates(block: Numbers, begin: Numbers, flip: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Rows, sorted by block, whose blocks differ by `flip`, each two once."""
    other = block ^ flip
    start = np.arange(1, len(block) + 1) if flip == 0 else begin[other]
    count = np.minimum(begin[other + 1] - start, _CROWD)
    if flip:
        count[(other < block) | (begin[block + 1] - begin[block] > _CROWD)] = 0
    mine = np.flatnonzero(count)
    for at in range(0, len(mine), _CHUNK // _CROWD):
        some = mine[at : at + _CHUNK // _CROWD]
        index, within = _ranges(count[some])
        yield some[index], start[some][index] + within
