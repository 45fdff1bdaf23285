"""Validation that stands still: the rate falls, or training ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from fovea.config.schema import EarlyStoppingConfig, PlateauConfig
from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.loss import Loss
from fovea.training.module import ClassifierModule
from fovea.training.patience import EarlyStopping, Patience, Plateau
from fovea.training.schedules import Steps

MakeJob = Callable[..., TrainJob]
LOSSES = [1.0, 0.9, 0.95, 0.91, 0.92, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.1, 0.2]


@pytest.mark.parametrize(
    ("monitor", "values", "waits"),
    [
        ("val/loss", [1.0, 0.9, 0.9, 0.85, 0.5, 0.6], [0, 0, 1, 2, 0, 1]),
        ("val/acc", [0.5, 0.6, 0.6, 0.65, 0.9, 0.8], [0, 0, 1, 2, 0, 1]),
    ],
)
def test_a_value_must_be_better_by_the_least(monitor: str, values: list[float], waits: list[int]) -> None:
    patience = Patience(monitor, 0.07)
    assert [patience.see(value) for value in values] == waits


def module_with_a_rate(make_job: MakeJob, schedule: PlateauConfig) -> ClassifierModule:
    job = make_job(optimizer={"lr": 0.1})
    module = ClassifierModule(nn.Linear(2, 2), job.optimizer, schedule, Steps(1, 100), loss=Loss(job.loss))
    module.scheduler = module.configure_optimizers()["lr_scheduler"]["scheduler"]  # type: ignore[assignment]
    module.lr_schedulers = lambda: module.scheduler  # type: ignore[assignment, method-assign]
    return module


@pytest.mark.parametrize("patience", [0, 2])
def test_the_rate_falls_when_that_of_torch_falls(patience: int, make_job: MakeJob) -> None:
    config = PlateauConfig(
        name="plateau",
        warmup_epochs=0.0,
        monitor="val/loss",
        factor=0.3,
        patience=patience,
        threshold=0.0,
        min_factor=0.01,
    )
    module = module_with_a_rate(make_job, config)
    schedule = cast(Any, module).scheduler
    reference = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        reference, factor=0.3, patience=patience, threshold=0.0, threshold_mode="abs", min_lr=0.001
    )
    plateau = Plateau(config)
    rates = []
    for value in LOSSES:
        schedule.optimizer.step()
        schedule.step()
        module.val_tally.reset()
        module.val_tally.update(torch.tensor(value, dtype=torch.float64), torch.zeros(1, 2), torch.zeros(1).long())
        plateau.on_train_epoch_end(cast(Any, None), module)
        theirs.step(value)
        rates.append(schedule.optimizer.param_groups[0]["lr"])
        assert rates[-1] == pytest.approx(reference.param_groups[0]["lr"])
    assert len(set(rates)) > 2
    schedule.step()
    assert schedule.optimizer.param_groups[0]["lr"] == pytest.approx(rates[-1])


def test_training_ends_after_its_patience_and_says_so(
    make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopping = {"patience": 2, "min_delta": 10.0, "monitor": "val/acc"}
    job = make_job(callbacks={"early_stopping": stopping}, trainer={"max_epochs": 9})
    with caplog.at_level(logging.INFO, "fovea"):
        outcome = fit(job, squares, tmp_path, memory_run)
    assert [row["epoch"] for row in outcome.rows] == [1, 2, 3]
    assert "stopped after epoch 3, as val/acc has not become better than" in caplog.text
    assert "for 2 epoch(s)" in caplog.text


def test_a_state_that_is_over_stays_over() -> None:
    stopping = EarlyStopping(EarlyStoppingConfig(patience=2, monitor="val/loss", min_delta=0.0))
    trainer = cast(Any, SimpleNamespace(should_stop=False))
    stopping.load_state_dict({"best": 0.5, "waited": 1})
    stopping.on_fit_start(trainer, cast(Any, None))
    assert trainer.should_stop is False
    stopping.load_state_dict({"best": 0.5, "waited": 2})
    stopping.on_fit_start(trainer, cast(Any, None))
    assert trainer.should_stop is True
