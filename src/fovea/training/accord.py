"""Decisions that every process must take at the same step."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import distributed

_PERIOD = 0.5  # seconds between two questions, about
_MOST = 1000  # steps


class Accord:
    """Lets what one process has seen (a signal, a clock) be acted on by all, at the same step.

    The processes ask each other every half a second or so, by one all-reduce of a few numbers; how many steps that is,
    they agree on as well. A process alone asks nobody.

    Args:
        device: Where the numbers must lie for the backend.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = device
        self._waits = 0
        self._steps = 0
        self._asked_at: float | None = None

    def reached(self, wishes: Sequence[int], *, now: bool = False) -> list[int]:
        """The largest of each wish over all processes, or zeros where it is not yet time to ask. Called at every step.

        Args:
            wishes: Numbers from 0; 0 is no wish.
            now: Ask at this step in any case; the same on every process.
        """
        if not is_shared():
            return list(wishes)
        self._steps += 1
        if not now and self._steps <= self._waits:
            return [0] * len(wishes)
        numbers = torch.tensor([*wishes, self._next_wait()], dtype=torch.int64, device=self._device)
        distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
        *agreed, self._waits = numbers.tolist()
        self._steps = 0
        return agreed

    def _next_wait(self) -> int:
        moment = time.monotonic()
        passed = None if self._asked_at is None else moment - self._asked_at
        self._asked_at = moment
        if passed is None or not self._steps:
            return 0
        return min(int(self._steps * _PERIOD / max(passed, 1e-6)), _MOST)


def is_shared() -> bool:
    """Whether several processes train together."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def of_all(value: list[float]) -> list[list[float]]:
    """What each process says, by its rank; every process must ask."""
    if not is_shared():
        return [value]
    said: list[list[float]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(said, value)
    return said
