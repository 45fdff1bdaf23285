"""A run that is stopped and started again ends with the very weights of one that was not."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fovea.config.schema import PlateauConfig
from fovea.core.errors import Interrupted, RunError
from fovea.training import checkpoint_store
from fovea.training.checkpoint_store import Sidecar
from fovea.training.fit import Fit, fit
from fovea.training.job import TrainJob
from fovea.training.randomness import StepRandomness

MakeJob = Callable[..., TrainJob]
STEPS_PER_EPOCH = 200 // 16


class CrashError(Exception):
    """Stands in for the loss of the process."""


def same_weights(a: Fit, b: Fit) -> bool:
    return same_tensors(a.network.state_dict(), b.network.state_dict())


def same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], None]) -> None:
    seed_step = StepRandomness.on_train_batch_start

    def act_first(self: StepRandomness, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == step:
            act()
        seed_step(self, trainer, *rest)

    monkeypatch.setattr(StepRandomness, "on_train_batch_start", act_first)


def crash() -> None:
    raise CrashError


def check_resumed(
    job: TrainJob, step: int, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Fit:
    """Trains a job whole, and again with a crash at a step; both must end alike. Gives the uninterrupted one."""
    (tmp_path / "whole").mkdir()
    whole = fit(job, squares, tmp_path / "whole", memory_run)
    with monkeypatch.context() as patch:
        crash_at(patch, step, crash)
        with pytest.raises(CrashError):
            fit(job, squares, tmp_path, memory_run)
    resumed = fit(job, squares, tmp_path, memory_run)
    assert same_weights(whole, resumed)
    assert resumed.rows == whole.rows
    assert resumed.best == whole.best
    return whole


@pytest.mark.parametrize("step", [1, 5, STEPS_PER_EPOCH - 1, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1, 20])
def test_resumed_weights_and_history_are_those_of_an_uninterrupted_run(
    step: int, make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(callbacks={"checkpoint": {"every_n_steps": 3}})
    check_resumed(job, step, squares, memory_run, tmp_path, monkeypatch)


PLATEAU = PlateauConfig(
    name="plateau", warmup_epochs=0.5, monitor="val/loss", factor=0.5, patience=0, threshold=10.0, min_factor=0.0
)
RECIPES: dict[str, dict[str, Any]] = {
    "ema": {"callbacks": {"averaging": {"kind": "ema", "decay": 0.9, "start": 0.3}}},
    "swa": {"callbacks": {"averaging": {"kind": "swa", "start": 0.0}}, "model": {"name": "fast_mnist"}},
    "plateau": {"trainer": {"max_epochs": 3}},
    "early stopping": {
        "callbacks": {"early_stopping": {"patience": 1, "min_delta": 10.0}},
        "trainer": {"max_epochs": 4},
    },
    "recipe": {
        "loss": {"name": "bce", "label_smoothing": 0.1, "class_weights": "balanced"},
        "augment": {"mix": {"mixup_alpha": 0.2}},
        "trainer": {"accumulate_batches": 5, "gradient_clip_value": 0.01, "precision": "bf16"},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("step", [4, STEPS_PER_EPOCH, 20])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_resumed_recipe_ends_as_an_uninterrupted_one(
    recipe: str,
    step: int,
    make_job: MakeJob,
    squares: Any,
    memory_run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = dict(RECIPES[recipe])
    changes["callbacks"] = {"checkpoint": {"every_n_steps": 2}, **changes.get("callbacks", {})}
    job = make_job(**changes)
    if recipe == "plateau":
        job = job.model_copy(update={"schedule": PLATEAU})
    step = step // 5 if job.trainer.accumulate_batches > 1 else step
    step = step + STEPS_PER_EPOCH if recipe == "plateau" else step  # before it falls there is nothing to lose
    whole = check_resumed(job, step, squares, memory_run, tmp_path, monkeypatch)
    assert same_weights(whole, fit(job, squares, tmp_path, memory_run))  # from the state of the end


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_a_checkpoint_and_ends_as_interrupted(
    signum: int, make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    (tmp_path / "whole").mkdir()
    whole = fit(job, squares, tmp_path / "whole", memory_run)
    before = signal.getsignal(signum)
    with monkeypatch.context() as patch:
        crash_at(patch, 4, lambda: os.kill(os.getpid(), signum))
        with pytest.raises(Interrupted) as caught:
            fit(job, squares, tmp_path, memory_run)
    assert caught.value.exit_code == 128 + signum
    assert signal.getsignal(signum) == before
    state = torch.load(tmp_path / "step-00000005.ckpt", weights_only=True)
    assert state["global_step"] == 5
    assert same_weights(whole, fit(job, squares, tmp_path, memory_run))


@pytest.mark.parametrize("damaged", ["step-00000024.ckpt", "best"])
def test_a_damaged_file_costs_the_steps_since_the_checkpoint_before(
    damaged: str, make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(callbacks={"checkpoint": {"monitor": "val/loss", "mode": "min"}})
    whole = fit(job, squares, tmp_path, memory_run)
    assert whole.best is not None
    assert whole.best["epoch"] == 2
    last = tmp_path / "step-00000024.ckpt"
    sidecar = Sidecar.read(last)
    assert sidecar is not None
    assert sidecar.best == "best-epoch-0002.safetensors"
    file = tmp_path / (damaged if damaged != "best" else sidecar.best)
    file.write_bytes(file.read_bytes()[:-1])
    again = fit(job, squares, tmp_path, memory_run)
    assert "training goes on from step-00000012.ckpt" in caplog.text
    assert same_weights(whole, again)
    assert again.rows == whole.rows
    assert again.best_path is not None
    assert same_tensors(load_file(again.best_path), whole.network.state_dict())


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_full_disk_leaves_the_checkpoint_before(
    on_error: str,
    make_job: MakeJob,
    squares: Any,
    memory_run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = make_job(callbacks={"checkpoint": {"every_n_steps": 5, "on_error": on_error}})
    (tmp_path / "whole").mkdir()
    whole = fit(job, squares, tmp_path / "whole", memory_run)
    plain = checkpoint_store._save
    refused = (1,) if on_error == "stop" else (1, 2)
    calls = iter(range(1000))

    def full(content: Any, path: Path) -> str:
        if next(calls) in refused:
            path.write_bytes(b"a part")
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(content, path)

    monkeypatch.setattr(checkpoint_store, "_save", full)
    said = (
        rf"writing {tmp_path}/step-00000010\.ckpt failed: the disk is full; .*"
        rf"the checkpoint to go on from is {tmp_path}/step-00000005\.ckpt"
    )
    if on_error == "stop":
        with pytest.raises(RunError, match=said):
            fit(job, squares, tmp_path, memory_run)
        assert sorted(path.name for path in tmp_path.glob("*step*")) == ["step-00000005.ckpt", "step-00000005.json"]
    outcome = fit(job, squares, tmp_path, memory_run)
    if on_error == "continue":
        assert (
            len(
                re.findall(
                    r"the disk is full; training goes on without it, the checkpoint to go on from is .*05\.ckpt",
                    caplog.text,
                )
            )
            == 2
        )
    assert same_weights(whole, outcome)
    assert outcome.rows == whole.rows


def test_training_that_diverges_says_in_which_epoch_and_keeps_the_state_before(
    make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    job = make_job(optimizer={"lr": 1e30}, trainer={"max_epochs": 3})
    with pytest.raises(
        RunError, match=r"training diverged: train/loss is (nan|inf) at step 2 \(epoch 1\); lower optimizer.lr"
    ):
        fit(job, squares, tmp_path, memory_run)
    assert not list(tmp_path.glob("*.ckpt"))
