from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.training import out_of_memory
from fovea.training.job import TrainJob
from fovea.training.lr_range import Climb, LrRange, Ramp, Suggestion, diverged, find, judge, smooth

MakeJob = Callable[..., TrainJob]
RATES: NDArray[np.float64] = np.geomspace(1e-6, 10, 100)


def valley(centre: float, least: float, noise: float = 0.0) -> NDArray[np.float64]:
    """A loss that falls from 2.3 to 0.3 around one rate, and rises again from another."""
    place = np.log10(RATES)
    falling = 0.3 + 2.0 / (1 + np.exp(4 * (place - np.log10(centre))))
    rising = np.exp(6 * (place - np.log10(least) - 1))
    return falling + rising + noise * np.random.default_rng(0).standard_normal(len(RATES))


def suggested(found: LrRange) -> Suggestion:
    assert found.suggestion is not None
    return found.suggestion


def test_the_ramp_begins_and_ends_as_asked_and_grows_by_one_factor() -> None:
    ramp = Ramp(1e-6, 10.0, 100)
    rates = [ramp.rate(step) for step in range(100)]
    np.testing.assert_allclose(rates, RATES)
    assert (rates[0], rates[-1]) == (1e-6, pytest.approx(10.0))


def test_smoothing_keeps_a_straight_line_and_does_not_lag() -> None:
    line = np.arange(50.0)
    np.testing.assert_allclose(smooth(line, 3.0)[12:38], line[12:38], rtol=1e-4)
    step = np.repeat([0.0, 1.0], 50)
    smoothed = smooth(step, 3.0)
    assert smoothed[49] < 0.5 < smoothed[50]
    assert smoothed[49] + smoothed[50] == pytest.approx(1.0)


def test_smoothing_takes_most_of_the_noise_away() -> None:
    noise = np.random.default_rng(1).standard_normal(4000)
    assert np.std(smooth(noise, 3.0)) == pytest.approx((2 * np.sqrt(np.pi) * 3.0) ** -0.5, rel=0.1)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_steepest_fall_and_a_tenth_of_the_least_are_found(noise: float) -> None:
    found = judge(RATES, valley(2e-3, 0.1, noise), 3.0)
    assert suggested(found).steepest == pytest.approx(2e-3, rel=0.3)
    exact = valley(2e-3, 0.1)
    assert suggested(found).tenth == pytest.approx(RATES[int(np.argmin(exact))] / 10, rel=0.6)


def test_what_follows_the_least_loss_and_a_last_nan_do_not_count() -> None:
    losses = valley(2e-3, 0.1)[:95]
    losses[90:94] = [40.0, 80.0, 2.0, 1e4]  # a fall that is steeper, after the least
    losses[94] = np.nan
    found = judge(RATES[:95], losses, 3.0)
    assert suggested(found).steepest == pytest.approx(2e-3, rel=0.3)
    assert np.isnan(found.smoothed[-1])
    assert np.isfinite(found.smoothed[:-1]).all()


@pytest.mark.parametrize("losses", [2.3 + 0.05 * np.random.default_rng(3).standard_normal(100), np.full(100, np.nan)])
def test_a_loss_that_falls_nowhere_gives_no_suggestion(losses: NDArray[np.float64]) -> None:
    assert judge(RATES, losses, 3.0).suggestion is None


def test_four_times_the_best_or_no_number_is_the_end() -> None:
    assert not diverged([2.3, 1.0, 0.5, 1.2], 0.1)
    assert diverged([2.3, 1.0, 0.5, 2.1], 0.1)
    assert diverged([2.3, float("nan")], 0.1)
    assert diverged([float("inf")], 0.1)


def test_a_real_network_gets_a_rate_at_which_it_learns(
    make_job: MakeJob, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = make_job(model={"dropout": 0.0}, trainer={"max_epochs": 1})
    found = find(job, squares, Ramp(1e-5, 10.0, 60))
    assert 1e-4 < suggested(found).steepest < 1e-1
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < 60  # it ran away before the end
    assert found.losses[0] == pytest.approx(np.log(10), rel=0.2)
    assert list(tmp_path.iterdir()) == []
    other = make_job(model={"dropout": 0.0}, optimizer={"lr": 5.0}, schedule={"start_factor": 1.0})
    again = find(other, squares, Ramp(1e-5, 10.0, 60))
    np.testing.assert_array_equal(found.losses, again.losses)  # the seed decides, and not the configured rate


def test_memory_that_runs_out_is_told_as_in_a_training(
    make_job: MakeJob, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise RunError("a trial of a training step failed")

    def full(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(out_of_memory, "measure", fails)
    monkeypatch.setattr(Climb, "on_train_batch_end", full)
    with pytest.raises(RunError, match=r"out of memory with loader\.batch_size=64; half of it"):
        find(make_job(loader={"batch_size": 64}), squares, Ramp(1e-5, 10.0, 6))


def test_a_scaled_rate_climbs_the_same_ramp(make_job: MakeJob, squares: Any) -> None:
    changes: dict[str, Any] = {"model": {"dropout": 0.0}, "trainer": {"limit_batches": 3}}
    plain, scaled = make_job(**changes), make_job(**changes, optimizer={"lr_scaling": "linear", "lr_base_batch": 2})
    curves = [find(job, squares, Ramp(1e-4, 1e-2, 6)).losses for job in (plain, scaled)]
    np.testing.assert_array_equal(*curves)


def test_accumulated_batches_count_as_one_step_with_their_mean_loss(make_job: MakeJob, squares: Any) -> None:
    small = make_job(model={"dropout": 0.0}, trainer={"accumulate_batches": 4, "limit_batches": 12})
    large = make_job(model={"dropout": 0.0}, loader={"batch_size": 64}, trainer={"limit_batches": 3})
    curves = [find(job, squares, Ramp(1e-5, 10.0, 30)).losses for job in (small, large)]
    np.testing.assert_allclose(curves[0][:12], curves[1][:12], rtol=1e-3)


def test_groups_of_parameters_keep_their_part_of_the_rate() -> None:
    groups = [{"lr": 0.0, "initial_lr": 0.5}, {"lr": 0.0, "initial_lr": 0.05}]
    trainer: Any = SimpleNamespace(global_step=1, optimizers=[SimpleNamespace(param_groups=groups)])
    Climb(Ramp(0.01, 1.0, 3), lr=0.5, width=1.0).on_train_batch_start(trainer, None, None, 0)  # type: ignore[arg-type]
    assert [group["lr"] for group in groups] == [pytest.approx(0.1), pytest.approx(0.01)]
