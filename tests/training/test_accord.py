"""Decisions that all processes take at the same step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import distributed

from fovea.training import accord
from fovea.training.accord import Accord


def test_a_process_alone_decides_for_itself_at_every_step() -> None:
    mine = Accord()
    assert [mine.reached([wish, 0]) for wish in (0, 15, 2)] == [[0, 0], [15, 0], [2, 0]]


class _Others:
    """Stands in for the other processes: what they wish, and how long they would wait."""

    def __init__(self, wishes: list[int], waits: int) -> None:
        self._theirs = torch.tensor([*wishes, waits])
        self.asked = 0

    def all_reduce(self, numbers: torch.Tensor, _: Any) -> None:
        self.asked += 1
        numbers.copy_(torch.maximum(numbers, self._theirs))


def test_others_are_asked_now_and_then_and_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    others = _Others([15], waits=3)
    monkeypatch.setattr(accord, "is_shared", lambda: True)
    monkeypatch.setattr(distributed, "all_reduce", others.all_reduce)
    monkeypatch.setattr(accord.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(accord, "_MOST", 3)
    mine = Accord()
    assert mine.reached([0]) == [15]
    assert [mine.reached([2]) for _ in range(3)] == [[0], [0], [0]]
    assert mine.reached([2]) == [15]
    assert others.asked == 2
    assert mine.reached([2], now=True) == [15]
    assert others.asked == 3
