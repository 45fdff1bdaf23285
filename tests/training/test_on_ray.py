"""Training on Ray: what Ray is asked for, and what becomes of the worker's end.

Ray is an extra. A stand-in takes its place, which runs one process and starts it again as Ray does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fovea.shards import PreparedData
from fovea.training import on_ray, worker
from fovea.training.failures import REPORT
from fovea.training.job import TrainJob
from fovea.training.workfolder import WorkFolder


class FailedError(RuntimeError):
    """As Ray's `WorkerGroupError`: a text for each process."""

    def __init__(self, failures: dict[int, Exception]) -> None:
        super().__init__("Training failed due to worker errors")
        self.worker_failures = failures


class Ray:
    """The stand-in: `asked` holds the arguments of the trainer, `starts` counts how often it ran the process."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.starts = 0

    def trainer(self, loop: Callable[[dict[str, str]], None], **asked: Any) -> Ray:
        """As `TorchTrainer`."""
        self.asked = {"loop": loop, **asked}
        return self

    def fit(self) -> None:
        """Runs the process, and again after failures."""
        while True:
            self.starts += 1
            try:
                return self.asked["loop"](self.asked["train_loop_config"])
            except Exception as error:
                if self.starts > self.asked["run_config"]["failure_config"]["max_failures"]:
                    text = f"Traceback (most recent call last):\n  ...\n{error}\n"
                    raise FailedError({0: RuntimeError(text)}) from error


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    stand_in = Ray()
    train, torch = ModuleType("ray.train"), ModuleType("ray.train.torch")
    names: dict[str, Any] = {"FailureConfig": dict, "RunConfig": dict, "ScalingConfig": dict}
    vars(train).update(names, TrainingFailedError=FailedError)
    vars(torch).update(TorchConfig=dict, TorchTrainer=stand_in.trainer)
    for module in (ModuleType("ray"), train, torch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    return stand_in


@pytest.fixture
def resolved(
    tmp_path: Path, make_job: Callable[..., TrainJob], squares: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A job's file in a project of its own, which is not the working directory."""
    for name in ("conf", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv(REPORT, raising=False)
    work = WorkFolder.of("squares")
    work.write_job(make_job(trainer={"max_epochs": 1, "launch": {"max_restarts": 2}}), squares.address)
    yield work.resolved
    os.environ.pop(REPORT, None)


def test_ray_gets_the_worker_and_what_the_config_says_of_restarts(
    ray: Ray, resolved: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(worker, "main", lambda words: seen.extend([words, Path.cwd(), os.environ["FOVEA_ROOT"]]) or 0)
    assert on_ray.main([str(resolved), "--workers", "2:4", "--use-gpu", "--cpus-per-worker", "3"]) == 0
    assert seen == [[str(resolved)], tmp_path, str(tmp_path)]
    assert ray.asked["loop"] is on_ray.work
    assert ray.asked["scaling_config"] == {
        "num_workers": (2, 4),
        "use_gpu": True,
        "resources_per_worker": {"CPU": 3, "GPU": 1},
    }
    run = {"name": "ray", "storage_path": str(resolved.parent), "failure_config": {"max_failures": 2}}
    assert ray.asked["run_config"] == run
    assert ray.asked["torch_config"] == {"timeout_s": 1200}  # twice trainer.launch.timeout_seconds
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def says(code: int, sentence: str) -> Callable[[list[str]], int]:
    def main(_words: list[str]) -> int:
        Path(os.environ[REPORT]).write_text(json.dumps({"message": {"message": sentence}}))
        return code

    return main


@pytest.mark.parametrize(
    ("code", "starts", "exit_code", "sentence"),
    [
        (1, 1, 1, "the disk is full"),
        (2, 1, 2, "the disk is full"),
        (70, 3, 1, "training on Ray failed: rank 0: the disk is full"),
    ],
)
def test_only_what_a_restart_may_mend_is_tried_again(
    ray: Ray,
    resolved: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
    starts: int,
    exit_code: int,
    sentence: str,
) -> None:
    monkeypatch.setattr(worker, "main", says(code, "the disk is full"))
    assert on_ray.main([str(resolved), "--workers", "1"]) == exit_code
    assert ray.starts == starts
    assert caplog.messages[-1] == sentence


def test_what_ended_an_earlier_try_does_not_end_the_next(
    ray: Ray, resolved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "main", says(2, "a mistake"))
    assert on_ray.main([str(resolved), "--workers", "1"]) == 2
    monkeypatch.setattr(worker, "main", lambda _words: 0)
    assert on_ray.main([str(resolved), "--workers", "1"]) == 0
    assert ray.starts == 2


@pytest.mark.parametrize("words", ["0", "two", "4:2", ":2", ""])
def test_a_number_of_workers_that_is_none(
    ray: Ray, resolved: Path, caplog: pytest.LogCaptureFixture, words: str
) -> None:
    assert on_ray.main([str(resolved), "--workers", words]) == 2
    assert caplog.messages[-1].startswith(f"--workers {words} is neither a number of processes nor LEAST:MOST")
    assert ray.starts == 0


def test_without_a_cluster_or_without_ray_it_says_the_way_out(
    resolved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert on_ray.main([str(resolved), "--workers", "2"]) == 2
    assert caplog.messages[-1].startswith("RAY_ADDRESS names no cluster; hand the script in with `ray job submit`")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    for name in ("ray", "ray.train", "ray.train.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    assert on_ray.main([str(resolved), "--workers", "2"]) == 2
    assert caplog.messages[-1].endswith("run: pip install 'fovea[ray]'")
