"""Trainings that start over, whatever is there of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import Interrupted, RunError, UserError
from fovea.core.locks import exclusive
from fovea.training import stage
from fovea.training.job import TrainJob
from fovea.training.randomness import StepRandomness
from fovea.training.workfolder import WorkFolder, is_fresh, let_go

MakeJob = Callable[..., TrainJob]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    yield
    let_go(remove=True)


@pytest.fixture
def stopped(make_job: MakeJob, squares: Any, monkeypatch: pytest.MonkeyPatch) -> WorkFolder:
    """The work folder of a training that was stopped after five steps."""
    job = make_job(trainer={"max_epochs": 1})
    seed_step = StepRandomness.on_train_batch_start

    def act_first(self: StepRandomness, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        seed_step(self, trainer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(StepRandomness, "on_train_batch_start", act_first)
        with pytest.raises(Interrupted):
            stage.train(job, squares)
    work = stage.work_of(job, squares)
    assert (work.path / "step-00000005.ckpt").exists()
    return work


def test_a_fresh_training_discards_what_there_is_of_it_and_of_no_other(
    make_job: MakeJob,
    squares: Any,
    stopped: WorkFolder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = stopped.path.parent / "another"
    other.mkdir()
    monkeypatch.setenv("FOVEA_FRESH", "1")
    with caplog.at_level("INFO", "fovea"):
        model = stage.train(make_job(trainer={"max_epochs": 1}), squares)
    assert f"{stopped.path.name} starts over; what there was of it is discarded" in caplog.text
    assert "going on from" not in caplog.text
    assert model.history()[-1]["step"] == 12
    assert other.is_dir()
    stage.train(make_job(trainer={"max_epochs": 1}), squares)  # which this process holds
    assert caplog.text.count("starts over") == 1


def test_one_that_is_under_way_is_not_discarded(
    make_job: MakeJob, squares: Any, stopped: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_FRESH", "1")
    lock = stopped.path.parent / f".{stopped.path.name}.lock"
    with exclusive(lock, "the other", ""), pytest.raises(RunError, match="is already under way"):
        stage.train(make_job(trainer={"max_epochs": 1}), squares)
    assert (stopped.path / "step-00000005.ckpt").exists()


def test_the_worker_starts_over_when_it_is_told_to(
    squares: Any, stopped: WorkFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from fovea.shards import folds
    from fovea.training import worker

    monkeypatch.setattr(folds, "reopen", lambda _: squares)
    monkeypatch.setenv("FOVEA_FRESH", "0")
    with caplog.at_level("INFO", "fovea"):
        assert worker.main([str(stopped.resolved), "--fresh"]) == 0
    assert "starts over" in caplog.text
    assert stopped.is_finished


def test_processes_that_one_launcher_starts_one_after_another_start_over_once(
    stopped: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_FRESH", "1")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setattr(os, "getppid", os.getpid)  # a launcher
    state = stopped.path / "step-00000005.ckpt"
    for exists in (False, True):
        stopped.take()
        assert state.exists() == exists
        let_go(remove=False)
        state.write_bytes(b"")
    monkeypatch.setattr(os, "getppid", lambda: 1)  # another one
    stopped.take()
    assert not state.exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"FOVEA_FRESH": ""}, False),
        ({"FOVEA_FRESH": "0"}, False),
        ({"FOVEA_FRESH": "1"}, True),
        ({"FOVEA_FRESH": "1", "TORCHELASTIC_RESTART_COUNT": "0"}, True),
        ({"FOVEA_FRESH": "1", "TORCHELASTIC_RESTART_COUNT": "1"}, False),
        ({"FOVEA_FRESH": "1", "SLURM_RESTART_COUNT": "2"}, False),
    ],
)
def test_what_replaces_a_process_that_died_goes_on(environment: dict[str, str], expected: bool) -> None:
    assert is_fresh(environment) == expected


def test_another_value_is_refused() -> None:
    with pytest.raises(UserError, match="FOVEA_FRESH=yes is neither 0 nor 1"):
        is_fresh({"FOVEA_FRESH": "yes"})
