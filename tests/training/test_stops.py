"""Trainings that end before their last epoch: no time left, or no sense left."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from fovea.core.errors import Interrupted, RunError
from fovea.training import budget
from fovea.training.budget import Budget
from fovea.training.checkpoints import StopSignals
from fovea.training.divergence import Divergence
from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.loss import Loss

MakeJob = Callable[..., TrainJob]


class Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def test_a_training_without_time_left_validates_and_delivers(
    make_job: MakeJob,
    squares: Any,
    memory_run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(budget, "time", Clock())
    job = make_job(trainer={"max_minutes": 0.5, "max_epochs": 5}, callbacks={"checkpoint": {"every_n_steps": 1}})
    with caplog.at_level(logging.INFO, "fovea"):
        outcome = fit(job, squares, tmp_path, memory_run)
    assert 12 < outcome.rows[-1]["step"] < 18
    assert [row["epoch"] for row in outcome.rows] == [1, 2]
    assert outcome.rows[-1]["val/acc"] >= 0
    assert f"trainer.max_minutes=0.5 is used up at step {outcome.rows[-1]['step']:.0f}, in epoch 2 of 5" in caplog.text
    again = fit(job, squares, tmp_path, memory_run)
    assert again.rows == outcome.rows
    weights = outcome.network.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.network.state_dict().items())


def test_the_minutes_of_earlier_processes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "time", Clock())
    first, second = Budget(1.0), Budget(1.0)
    trainer = cast(Any, SimpleNamespace(should_stop=False, accumulate_grad_batches=1, global_step=7, current_epoch=0))
    trainer.max_epochs, trainer.optimizers = 3, [SimpleNamespace(param_groups=[{"lr": 0.1}])]
    module = cast(Any, SimpleNamespace(device=torch.device("cpu")))
    first.on_fit_start(trainer, module)
    for batch in range(30):
        first.on_train_batch_end(trainer, module, None, None, batch)
    assert not trainer.should_stop
    state = first.state_dict()
    assert 29 <= state["seconds"] <= 35
    second.load_state_dict(state)
    second.on_fit_start(trainer, module)
    steps = 0
    while not trainer.should_stop:
        second.on_train_batch_end(trainer, module, None, None, steps)
        steps += 1
    assert 22 <= steps <= 31


def spoil(monkeypatch: pytest.MonkeyPatch, call: int, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Changes the loss at one of the calls."""
    calls = iter(range(1, 1000))
    plain = Loss.__call__

    def spoilt(self: Loss, *arguments: Any) -> torch.Tensor:
        loss = plain(self, *arguments)
        return act(loss) if next(calls) == call else loss

    monkeypatch.setattr(Loss, "__call__", spoilt)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_no_number_ends_training_at_its_step(
    value: str, make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 15, lambda loss: loss * float(value))
    job = make_job(callbacks={"checkpoint": {"every_n_steps": 2}})
    kept = tmp_path / "step-00000014.ckpt"
    words = rf"train/loss is {value} at step 15 \(epoch 2\); lower optimizer\.lr \(now 0\.003\) or set trainer\.gradie"
    with pytest.raises(RunError, match=words + rf".*; the last good checkpoint is kept at {kept}"):
        fit(job, squares, tmp_path, memory_run)
    state = torch.load(kept, weights_only=True)
    assert state["global_step"] == 14
    assert all(torch.isfinite(tensor).all() for tensor in state["state_dict"].values())
    assert (tmp_path / "best-epoch-0001.safetensors").exists()


def test_a_loss_on_a_gpu_is_looked_at_now_and_then() -> None:
    outputs = {"loss": SimpleNamespace(device=SimpleNamespace(type="cuda"))}
    module = cast(Any, SimpleNamespace(train_tally=SimpleNamespace(loss_sum=torch.tensor(float("nan")))))
    trainer = cast(Any, SimpleNamespace(global_step=50, current_epoch=0, gradient_clip_val=1.0))
    watch = Divergence(0.1, lambda: None)
    for batch in range(49):
        watch.on_train_batch_end(trainer, module, outputs, None, batch)
    with pytest.raises(RunError, match=r"at step 50 \(epoch 1\); lower optimizer\.lr \(now 0\.1\)$"):
        watch.on_train_batch_end(trainer, module, outputs, None, 49)


def test_a_scaled_rate_is_told_beside_the_configured_one() -> None:
    outputs = {"loss": torch.tensor(float("nan"))}
    trainer = cast(Any, SimpleNamespace(global_step=3, current_epoch=0, gradient_clip_val=1.0))
    with pytest.raises(RunError, match=r"lower optimizer\.lr \(now 0\.1, scaled 0\.4\)$"):
        Divergence(0.1, lambda: None, scaled=0.4).on_train_batch_end(trainer, cast(Any, None), outputs, None, 0)


def test_weights_that_a_step_has_spoilt_are_not_saved(
    make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finite_with_bad_gradient(loss: torch.Tensor) -> torch.Tensor:
        return loss + (loss - loss.detach()).abs().sqrt()  # its derivative at 0 is infinite times 0

    spoil(monkeypatch, 4, finite_with_bad_gradient)
    job = make_job(callbacks={"checkpoint": {"every_n_steps": 2}})
    with pytest.raises(RunError, match=r"training diverged: the largest weight of 'net\..*' is nan at step 4"):
        fit(job, squares, tmp_path, memory_run)
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["step-00000002.ckpt"]


@pytest.mark.parametrize(("is_launched", "stops_at_once"), [(False, True), (True, False)])
def test_what_a_launcher_passes_on_may_come_twice(
    monkeypatch: pytest.MonkeyPatch, is_launched: bool, stops_at_once: bool
) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if is_launched:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a run")
    with StopSignals() as stop:
        stop.listen()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted) if stops_at_once else nullcontext():
            signal.raise_signal(signal.SIGTERM)
    assert stop.signum == signal.SIGTERM
