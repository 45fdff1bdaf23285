from __future__ import annotations

import pytest

from fovea.config.schema import ConstantConfig, CosineConfig, OneCycleConfig, StepConfig
from fovea.training.schedules import Steps, lr_factor

STEPS = Steps(per_epoch=10, total=101)


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
