"""The order of an epoch's draws: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fovea.core.errors import UserError

Rows = npt.NDArray[np.int64]

# The first word of every generator's seed, so that no other user of (seed, epoch) draws the same numbers.
_SHUFFLE = 0x5F1
_BALANCE = 0xBA1


class Draws(NamedTuple):
    """What an epoch gives, in order.

    Attributes:
        rows: int64 [N], rows of the split.
        before: int64 [N], how often the same row came earlier in the epoch; None: never any.
    """

    rows: Rows
    before: Rows | None = None

    def part(self, first: int, last: int) -> Draws:
        """The draws from `first` to `last`, which is excluded."""
        return Draws(self.rows[first:last], None if self.before is None else self.before[first:last])


Order = Callable[[int], Draws]


class Fixed:
    """The same draws in every epoch.

    Args:
        draws: Those draws.
    """

    def __init__(self, draws: Draws) -> None:
        self._draws = draws

    def __call__(self, epoch: int) -> Draws:
        """The draws of an epoch."""
        return self._draws


class Shuffled:
    """Every row once, in an order that is another in each epoch.

    Args:
        count: Rows of the split.
        seed: Of the shuffle.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed

    def __call__(self, epoch: int) -> Draws:
        """The draws of an epoch."""
        rows = np.arange(self._count, dtype=np.int64)
        return Draws(np.random.default_rng((_SHUFFLE, self._seed, epoch)).permutation(rows))


class Balanced:
    """As many draws as there are rows, every class as often as any other (to one), shuffled.

    Within a class no row is drawn once more before all others were drawn as often. Which rows of a large class are
    passed over, and which classes get the one draw more, differs from epoch to epoch.

    Args:
        labels: int64 [N], indices into `classes`.
        classes: Their names.
        seed: Of the draws.

    Raises:
        UserError: A class has no rows.
    """

    def __init__(self, labels: Rows, classes: Sequence[str], seed: int) -> None:
        counts = np.bincount(labels, minlength=len(classes))
        empty = [name for name, count in zip(classes, counts, strict=True) if not count]
        if empty:
            names = f"'{empty[0]}' and {len(empty) - 1} more have" if len(empty) > 1 else f"'{empty[0]}' has"
            raise UserError(
                f"loader.sampling=balanced needs training pictures of every class, but {names} none; add some or take "
                "loader.sampling=shuffle"
            )
        self._classes = np.split(np.argsort(labels, kind="stable").astype(np.int64), np.cumsum(counts)[:-1])
        self._count = len(labels)
        self._seed = seed

    def __call__(self, epoch: int) -> Draws:
        """The draws of an epoch."""
        numbers = np.random.default_rng((_BALANCE, self._seed, epoch))
        quota = np.full(len(self._classes), self._count // len(self._classes))
        quota[numbers.permutation(len(quota))[: self._count % len(quota)]] += 1
        parts = []
        for rows, wanted in zip(self._classes, quota.tolist(), strict=True):
            rounds, rest = divmod(wanted, len(rows))
            parts += [np.tile(rows, rounds), numbers.permutation(rows)[:rest]]
        drawn = numbers.permutation(np.concatenate(parts))
        return Draws(drawn, _before(drawn))


def drawn_by(sampling: Literal["shuffle", "balanced"], labels: Rows, classes: Sequence[str], seed: int) -> Order:
    """The order that `loader.sampling` names.

    Args:
        sampling: Its value.
        labels: int64 [N], of the training pictures.
        classes: Their names.
        seed: Of the draws.

    Raises:
        UserError: A class has no rows, and all are to be drawn equally often.
    """
    return Balanced(labels, classes, seed) if sampling == "balanced" else Shuffled(len(labels), seed)


def _before(rows: Rows) -> Rows:
    """For each entry how many equal ones come before it."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(rows)])
    before = np.empty(len(rows), dtype=np.int64)
    before[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
    return before
