"""The harness of all tests with several processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

Ddp = Callable[..., list[Any]]


def place(rank: int, world_size: int, word: str) -> tuple[int, int, str, int]:
    import torch
    from torch import distributed

    total = torch.tensor([rank + 1.0])
    distributed.all_reduce(total)
    return rank, world_size, word, int(total)


def one_fails(rank: int, world_size: int) -> None:
    from torch import distributed

    if rank == 1:
        raise KeyError("the second one")
    distributed.barrier()


def one_hangs(rank: int, world_size: int, path: str) -> None:
    with open(f"{path}/{rank}", "w") as file:  # noqa: PTH123
        file.write(str(os.getpid()))
    if rank == 1:
        time.sleep(1000)


@pytest.mark.ddp
def test_each_process_knows_its_place_and_answers(ddp: Ddp) -> None:
    assert ddp(3, place, "hello") == [(0, 3, "hello", 6), (1, 3, "hello", 6), (2, 3, "hello", 6)]


@pytest.mark.ddp
@pytest.mark.slow
def test_a_failure_shows_the_traceback_of_its_rank(ddp: Ddp) -> None:
    with pytest.raises(AssertionError, match=r"rank 1 of 2 ended with 1:\n(.*\n)*.*KeyError: 'the second one'"):
        ddp(2, one_fails)


@pytest.mark.ddp
@pytest.mark.slow
def test_a_process_that_hangs_is_named_and_none_is_left(ddp: Ddp, tmp_path: Any) -> None:
    with pytest.raises(AssertionError, match=r"rank 1 of 2 (.*\n)*.*in one_hangs"):
        ddp(2, one_hangs, str(tmp_path), timeout=12.0)
    for rank in range(2):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / str(rank)).read_text()), 0)
