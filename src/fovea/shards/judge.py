"""Which pictures are left out: copies, contradictions, and what would carry a test picture into training.

What a single picture says of itself is known before; here they are compared with each other. Nothing moves a picture to
another split (docs/decisions/0009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fovea.shards import columns

NONE = -1
_REASONS = ("", *columns.LEFT_OUT_REASONS)


@dataclass(frozen=True)
class Pictures:
    """What is known of the pictures, in the order of the source.

    Attributes:
        digests: sha256 of each, uint64 [N, 4].
        labels: int64 [N].
        splits: Index into `SPLITS`, int8 [N]; -1 of a quarantined picture, which takes no part.
        official: The publisher's split, int8 [N]; -1 where there is none.
        phash: uint64 [N]; 0 where there is none.
        dhash: uint64 [N].
    """

    digests: NDArray[np.uint64]
    labels: NDArray[np.int64]
    splits: NDArray[np.int8]
    official: NDArray[np.int8]
    phash: NDArray[np.uint64]
    dhash: NDArray[np.uint64]


@dataclass(frozen=True)
class Verdict:
    """What follows. All arrays are [N]; rows of other pictures are int64, -1 where there is none.

    Attributes:
        reason: Why a picture is left out, int8, an index: see `why`.
        duplicate_of: The first picture of the same content, or the one that it resembles.
        near: Whether that one only resembles it.
        conflict_with: A picture of the same content and another label.
        leaks: The same picture, or one like it, in another official split.
    """

    reason: NDArray[np.int8]
    duplicate_of: NDArray[np.int64]
    near: NDArray[np.bool_]
    conflict_with: NDArray[np.int64]
    leaks: NDArray[np.int64]

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """Whether a picture is left out."""
        return self.reason > 0

    def why(self, row: int) -> str | None:
        """The reason in the manifest's words."""
        return _REASONS[int(self.reason[row])] or None

    def leave_out(self, rows: NDArray[np.int64], reason: str) -> None:
        """Leaves pictures out, unless they are already."""
        chosen = rows[self.reason[rows] == 0]
        self.reason[chosen] = _REASONS.index(reason)


def judge(
    pictures: Pictures,
    *,
    duplicates: Literal["leave_out", "keep"],
    near_distance: int | None,
    leakage: Literal["report", "leave_out"],
) -> Verdict:
    """Compares the pictures.

    Args:
        pictures: All of the source.
        duplicates: What becomes of exact copies after the first.
        near_distance: Bits in which the hashes of pictures that resemble each other differ at most; None: only exact
            copies are looked for.
        leakage: What becomes of a picture that another official split has too and is more protected in: test before
            validation before training.
    """
    count = len(pictures.labels)
    nobody = np.full(count, NONE, np.int64)
    verdict = Verdict(np.zeros(count, np.int8), nobody.copy(), np.zeros(count, np.bool_), nobody.copy(), nobody.copy())
    for group in _copies(pictures):
        _compare_copies(group.tolist(), pictures, verdict, keep=duplicates == "keep", report=leakage == "report")
    if near_distance is not None and np.any(pictures.phash):
        _compare_near(pictures, verdict, near_distance, report=leakage == "report")
    return verdict


def _copies(pictures: Pictures) -> list[NDArray[np.int64]]:
    """Rows of equal content, for each content that is there more than once."""
    rows = np.flatnonzero(pictures.splits >= 0)
    rows = rows[np.lexsort(pictures.digests[rows].T)]
    new = np.any(pictures.digests[rows[1:]] != pictures.digests[rows[:-1]], axis=1)
    starts = np.flatnonzero(np.concatenate([[True], new]))[: len(rows)]
    ends = np.append(starts[1:], len(rows))
    many = np.flatnonzero(ends - starts > 1).tolist()
    return [np.sort(rows[starts[group] : ends[group]]) for group in many]


def _compare_copies(rows: list[int], pictures: Pictures, verdict: Verdict, *, keep: bool, report: bool) -> None:
    labels, splits, official = pictures.labels, pictures.splits, pictures.official
    firsts: dict[int, int] = {}
    for row in rows:
        first = firsts.setdefault(int(official[row]), row)
        if first == row:
            continue
        if labels[row] != labels[first]:
            _contradict(first, row, verdict)
            verdict.leave_out(np.array([row]), columns.CONFLICT)
            continue
        verdict.duplicate_of[row] = first
        if not keep:
            verdict.leave_out(np.array([row]), columns.DUPLICATE)
    if len(firsts) == 1:
        return
    safest = max(firsts.values(), key=lambda row: (int(splits[row]), -row))
    for row in rows:
        other = safest if official[row] != official[safest] else _another(firsts, int(official[safest]))
        if verdict.reason[row] == 0:
            if labels[row] != labels[other]:
                _contradict(other, row, verdict)
            _tell_pairs(np.array([[row, other]]), pictures, verdict, report=report)


def _contradict(first: int, row: int, verdict: Verdict) -> None:
    verdict.conflict_with[row] = first
    if verdict.conflict_with[first] == NONE:
        verdict.conflict_with[first] = row


def _another(firsts: dict[int, int], official: int) -> int:
    return next(row for code, row in firsts.items() if code != official)


def _compare_near(pictures: Pictures, verdict: Verdict, distance: int, *, report: bool) -> None:
    from fovea.pictures.near import near_duplicates

    rows = np.flatnonzero((pictures.splits >= 0) & ~verdict.left_out)
    pairs = rows[near_duplicates(pictures.phash[rows], pictures.dhash[rows], distance)].reshape(-1, 2)
    pairs = pairs[np.any(pictures.digests[pairs[:, 0]] != pictures.digests[pairs[:, 1]], axis=1)]
    within = pictures.splits[pairs[:, 0]] == pictures.splits[pairs[:, 1]]
    first, second = pairs[within].T
    _resemble(second, first, verdict, near=True)
    _tell_pairs(pairs[~within], pictures, verdict, report=report, near=True)


def _tell_pairs(
    pairs: NDArray[np.int64], pictures: Pictures, verdict: Verdict, *, report: bool, near: bool = False
) -> None:
    """Pairs across splits: across official ones it is told, across those made here the less protected one goes."""
    official, splits = pictures.official[pairs], pictures.splits[pairs]
    ordered = np.where((splits[:, 0] <= splits[:, 1])[:, None], pairs, pairs[:, ::-1])
    leak = (official[:, 0] != official[:, 1]) & np.all(official >= 0, axis=1)
    for rows, others in (ordered[leak].T, ordered[leak][:, ::-1].T):
        _note(verdict.leaks, rows, others)
    differ = splits[:, 0] != splits[:, 1]
    if not report:
        verdict.leave_out(ordered[leak & differ, 0], columns.LEAKAGE)
    low, high = ordered[~leak & differ].T
    _resemble(low, high, verdict, near=near)
    verdict.leave_out(low, columns.STRADDLES)


def _resemble(rows: NDArray[np.int64], others: NDArray[np.int64], verdict: Verdict, *, near: bool) -> None:
    """Notes the first of the pictures that each is like, unless one is noted already."""
    noted = _note(verdict.duplicate_of, rows, others)
    verdict.near[noted] = near


def _note(column: NDArray[np.int64], rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Writes the smallest of its others for each row that has none yet; gives these rows."""
    order = np.lexsort((others, rows))
    rows, others = rows[order], others[order]
    first = np.concatenate([[True], rows[1:] != rows[:-1]])[: len(rows)] & (column[rows] == NONE)
    noted: NDArray[np.int64] = rows[first]
    column[noted] = others[first]
    return noted
