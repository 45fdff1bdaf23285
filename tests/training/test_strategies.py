"""Processes that find each other, agree, and compare notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fovea.core.errors import UserError
from fovea.training.accord import Accord, of_all
from fovea.training.ranks import ALONE, Ranks
from fovea.training.strategies import RanksEnvironment, check_alike, first_of_all, joined

Ddp = Callable[..., list[Any]]


def _talk(rank: int, world_size: int) -> dict[str, Any]:
    check_alike({"code": "a", "data": "b"})
    refusals = []
    for facts in ({"code": f"c{rank}"}, {"code": "a", "config": "x" if rank == 1 else "y"}):
        try:
            check_alike(facts)
        except UserError as error:
            refusals.append(str(error))
    accord = Accord()
    heard = [accord.reached([15 if rank == 1 else 0, rank])]
    steps = 0
    while True:  # both must end at the same step, though only one hears the signal
        steps += 1
        told, _ = accord.reached([2 if rank == 1 and steps >= 5 else 0, 0])
        if told:
            break
    return {
        "refusals": refusals,
        "first": first_of_all(f"said by {rank}"),
        "nothing": first_of_all(None),
        "all": of_all([float(rank), 0.1]),
        "heard": heard,
        "steps": steps,
        "told": told,
        "now": accord.reached([0, rank], now=True),
    }


@pytest.mark.ddp
@pytest.mark.slow
def test_processes_agree(ddp: Ddp) -> None:
    answers = ddp(2, _talk)
    assert answers[0] == answers[1]
    answer = answers[0]
    assert answer["refusals"] == [
        "rank 1 has another code than rank 0 (c1 instead of c0); give every machine the same code, packages, config "
        "and data",
        "rank 1 has another config than rank 0 (x instead of y); give every machine the same code, packages, config "
        "and data",
    ]
    assert answer["first"] == "said by 0"
    assert answer["nothing"] is None
    assert answer["all"] == [[0.0, 0.1], [1.0, 0.1]]
    assert answer["heard"] == [[15, 1]]
    assert answer["told"] == 2
    assert answer["steps"] >= 5
    assert answer["now"] == [0, 1]


def test_a_process_alone_asks_nobody() -> None:
    check_alike({"code": "a"})
    assert first_of_all("a") == "a"
    assert of_all([1.0]) == [[1.0]]


def test_a_process_alone_joins_nobody(make_job: Callable[..., Any]) -> None:
    with joined(ALONE, make_job().trainer):
        assert not torch.distributed.is_initialized()


def test_without_an_address_nobody_is_found(make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UserError, match="MASTER_ADDR and MASTER_PORT"), joined(Ranks(0, 0, 2, 2), make_job().trainer):
        pass


def test_lightning_is_told_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29400")
    place = RanksEnvironment(Ranks(5, 1, 8, 4))
    assert (place.world_size(), place.global_rank(), place.local_rank(), place.node_rank()) == (8, 5, 1, 1)
    assert (place.main_address, place.main_port) == ("10.0.0.1", 29400)
    assert place.creates_processes_externally
