"""A run that is stopped and started again ends with the very weights of one that was not."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fovea.config.schema import PlateauConfig
from fovea.core.errors import Interrupted, RunError
from fovea.training.checkpoints import Checkpointer, save_weights, usable_checkpoint
from fovea.training.fit import Fit, fit
from fovea.training.job import TrainJob
from fovea.training.randomness import StepRandomness

MakeJob = Callable[..., TrainJob]
STEPS_PER_EPOCH = 200 // 16


class CrashError(Exception):
    """Stands in for the loss of the process."""


def same_weights(a: Fit, b: Fit) -> bool:
    first, second = a.network.state_dict(), b.network.state_dict()
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
    state = torch.load(tmp_path / Checkpointer.LAST, weights_only=True)
    assert state["global_step"] == 5
    assert same_weights(whole, fit(job, squares, tmp_path, memory_run))


def test_a_file_that_is_no_checkpoint_is_put_aside_and_training_starts_over(
    make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(trainer={"max_epochs": 1})
    (tmp_path / "whole").mkdir()
    whole = fit(job, squares, tmp_path / "whole", memory_run)
    (tmp_path / Checkpointer.LAST).write_bytes(b"not a checkpoint")
    again = fit(job, squares, tmp_path, memory_run)
    assert same_weights(whole, again)
    assert (tmp_path / "last.ckpt.bad").read_bytes() == b"not a checkpoint"
    assert "training starts over" in caplog.text


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1, 2]])
def test_a_foreign_file_that_torch_can_read_is_no_checkpoint_either(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    assert usable_checkpoint(tmp_path / "last.ckpt") is None
    assert (tmp_path / "last.ckpt.bad").exists()


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"state_dict": {}, "loops": Hostile()}, tmp_path / "last.ckpt")
    assert usable_checkpoint(tmp_path / "last.ckpt") is None
    assert not (tmp_path / "ran").exists()


def test_training_that_diverges_says_in_which_epoch_and_keeps_the_state_before(
    make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    job = make_job(optimizer={"lr": 1e30}, trainer={"max_epochs": 3})
    with pytest.raises(
        RunError, match=r"training diverged: train/loss is (nan|inf) at step 2 \(epoch 1\); lower optimizer.lr"
    ):
        fit(job, squares, tmp_path, memory_run)
    assert not (tmp_path / Checkpointer.LAST).exists()


def test_weights_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(b"earlier")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match=r"writing .*best\.safetensors failed: the disk is full; free some space"):
        save_weights(torch.nn.Linear(2, 2), path)
    assert [(left.name, left.read_bytes()) for left in tmp_path.iterdir()] == [("best.safetensors", b"earlier")]
