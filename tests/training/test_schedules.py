from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from fovea.config.schema import (
    ConstantConfig,
    CosineConfig,
    ExponentialConfig,
    MultiStepConfig,
    OneCycleConfig,
    PlateauConfig,
    PolynomialConfig,
    StepConfig,
)
from fovea.training.schedules import Steps, lr_factor

STEPS = Steps(per_epoch=10, total=101)
PLATEAU = PlateauConfig(
    name="plateau", warmup_epochs=2.0, monitor="val/loss", factor=0.5, patience=1, threshold=0.0, min_factor=0.0
)


def test_one_cycle_rises_to_one_at_its_peak_and_ends_low() -> None:
    factor = lr_factor(OneCycleConfig(name="one_cycle", peak_at=0.3, start_factor=0.1, end_factor=0.001), STEPS)
    assert factor(0) == pytest.approx(0.1)
    assert factor(15) == pytest.approx(0.55)
    assert factor(30) == pytest.approx(1.0)
    assert factor(100) == pytest.approx(0.001)
    assert all(factor(step) < factor(step + 1) for step in range(29))
    assert all(factor(step) > factor(step + 1) for step in range(30, 100))


def test_cosine_is_half_way_at_half_time_and_warms_up_linearly() -> None:
    plain = lr_factor(CosineConfig(name="cosine", warmup_epochs=0.0, end_factor=0.0), STEPS)
    assert (plain(0), plain(50), plain(100)) == (pytest.approx(1.0), pytest.approx(0.5), pytest.approx(0.0))
    warmed = lr_factor(CosineConfig(name="cosine", warmup_epochs=1.0, end_factor=0.1), STEPS)
    assert [warmed(step) for step in (0, 4, 9)] == pytest.approx([1 / 11, 5 / 11, 10 / 11])
    assert warmed(10) == pytest.approx(1.0)
    assert warmed(100) == pytest.approx(0.1)


def test_step_decay_multiplies_by_gamma_after_every_so_many_epochs() -> None:
    factor = lr_factor(StepConfig(name="step", warmup_epochs=0.0, every_epochs=2, gamma=0.7), STEPS)
    assert [factor(step) for step in (0, 19, 20, 39, 40)] == pytest.approx([1, 1, 0.7, 0.7, 0.49])


def test_constant_stays() -> None:
    factor = lr_factor(ConstantConfig(name="constant", warmup_epochs=0.0), STEPS)
    assert {factor(step) for step in range(101)} == {1.0}


def test_schedules_of_a_single_step_are_finite() -> None:
    factor = lr_factor(
        OneCycleConfig(name="one_cycle", peak_at=0.3, start_factor=0.1, end_factor=0.001), Steps(per_epoch=1, total=1)
    )
    assert 0 < factor(0) <= 1


def rates_of_torch(make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]) -> list[float]:
    """The rates of the run's steps by a schedule of torch's own, of a rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    rates = []
    for _ in range(STEPS.total):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("config", "theirs"),
    [
        (
            CosineConfig(name="cosine", warmup_epochs=0.0, end_factor=0.1),
            lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=100, eta_min=0.1),
        ),
        (
            StepConfig(name="step", warmup_epochs=0.0, every_epochs=3, gamma=0.5),
            lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.5),
        ),
        (
            MultiStepConfig(name="multi_step", warmup_epochs=0.0, milestones=[3, 7], gamma=0.1),
            lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones=[30, 70], gamma=0.1),
        ),
        (
            ExponentialConfig(name="exponential", warmup_epochs=0.0, gamma=0.8),
            lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma=0.8 ** (1 / 10)),
        ),
        (
            PolynomialConfig(name="polynomial", warmup_epochs=0.0, power=0.9, end_factor=0.0),
            lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total_iters=100, power=0.9),
        ),
    ],
)
def test_schedules_are_those_of_torch(config: Any, theirs: Any) -> None:
    factor = lr_factor(config, STEPS)
    assert [factor(step) for step in range(STEPS.total)] == pytest.approx(rates_of_torch(theirs), abs=1e-9)


@pytest.mark.parametrize(
    ("config", "after"),
    [
        (PolynomialConfig(name="polynomial", warmup_epochs=2.0, power=1.0, end_factor=0.2), [1.0, 0.6, 0.2]),
        (ExponentialConfig(name="exponential", warmup_epochs=2.0, gamma=0.5), [0.25, 0.5**6, 0.5**10]),
        (MultiStepConfig(name="multi_step", warmup_epochs=2.0, milestones=[4, 10], gamma=0.1), [1.0, 0.1, 0.01]),
        (PLATEAU, [1.0, 1.0, 1.0]),
    ],
)
def test_a_warm_up_comes_before_and_is_part_of_the_run(config: Any, after: list[float]) -> None:
    factor = lr_factor(config, STEPS)
    assert [factor(step) for step in (0, 9, 19)] == pytest.approx([1 / 21, 10 / 21, 20 / 21])
    assert [factor(step) for step in (20, 60, 100)] == pytest.approx(after)


def test_the_last_batches_of_an_epoch_make_a_step_of_their_own() -> None:
    trainer = SimpleNamespace(accumulate_batches=5, max_epochs=3)
    assert Steps.of(12, trainer) == Steps(per_epoch=3, total=9)  # type: ignore[arg-type]
