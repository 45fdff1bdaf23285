"""Runs that are stopped at an awkward moment, or are not alone: nothing is lost, doubled or left behind."""

from __future__ import annotations

import gzip
import os
import re
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SETTINGS = """\
trainer: {max_epochs: 2, limit_batches: 20}
callbacks: {checkpoint: {every_n_steps: 5}}
augment: {train: []}
evaluate: {gallery: 4}
"""

# Ends without a word in the middle of a writing, as a killed process does.
DIES = """\
import os, sys
from pathlib import Path
from fovea.core.files import atomic_directory, atomic_file
with atomic_directory(Path("data/06_models/model")) as folder, atomic_file(Path("data/08_reporting/metrics.json")) as f:
    (folder / "half").write_text("half")
    f.write_text("half")
    os._exit(0)
"""


def wait_for(happened: Callable[[], object], process: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "the command ended before there was anything to stop"
        assert time.monotonic() < end, "nothing to stop came up"
        time.sleep(0.02)


def is_gone(group: int) -> bool:
    """Whether no process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def leftovers(root: Path) -> list[str]:
    """Whatever an attempt left that is neither an output nor of use to the next."""
    found = [*root.glob(".*.tmp"), *(root / "data").rglob(".*.tmp")]
    found += [*(root / "data/08_reporting/_untracked").glob("*"), *(root / "data/06_models/_work").glob("*/")]
    return sorted(str(path.relative_to(root)) for path in found)


def check_finished(project: Any, run: Any, whole: Any) -> None:
    """A run that went on is, in the end, like the one that nothing stopped."""
    from mlflow import MlflowClient

    assert run.info.status == "FINISHED"
    assert (run.data.tags["stage.train"], run.data.tags["stage.evaluate"]) == ("done", "done")
    assert "error" not in run.data.tags
    assert project.metrics() == whole.metrics()
    weights = "data/06_models/model/model.safetensors"
    assert (project.root / weights).read_bytes() == (whole.root / weights).read_bytes()
    client = MlflowClient(tracking_uri=f"sqlite:///{project.root}/mlflow.db")
    for name in run.data.metrics:
        steps = Counter(point.step for point in client.get_metric_history(run.info.run_id, name) if point.step)
        assert set(steps.values()) <= {1}, f"{name} was logged twice"
    assert leftovers(project.root) == []


@pytest.fixture(scope="module")
def whole(make_project: Callable[..., Any]) -> Any:
    """A copy after a run that nothing stopped."""
    project = make_project("whole", SETTINGS)
    project.run("kedro", "run")
    return project


def test_a_signal_while_the_database_is_made(make_project: Callable[..., Any]) -> None:
    project = make_project("first", SETTINGS)
    process = project.start("kedro", "run")
    wait_for((project.root / "mlflow.db.lock").exists, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    said = (project.root.parent / "output.log").read_text().splitlines()
    assert said[-1] == "Stopped: interrupted by SIGTERM; what is finished is kept; go on with: kedro run"
    assert [line.split(":")[0] for line in said[:-1] if not line.startswith(("fetching ", "made the MLflow"))] == [
        "ingest",
        "prepare",
    ]
    assert [left for left in leftovers(project.root) if "_work" not in left] == []
    assert is_gone(process.pid)


@pytest.mark.slow
def test_ctrl_c_in_the_evaluation(make_project: Callable[..., Any], whole: Any) -> None:
    project = make_project("evaluation", SETTINGS)
    process = project.start("kedro", "run")
    wait_for((project.root / "data/06_models/model/model.json").exists, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    assert process.wait(60) == 130
    said = (project.root.parent / "output.log").read_text().splitlines()
    assert said[-1] == "Stopped: interrupted by SIGINT; what is finished is kept; go on with: kedro run"
    assert is_gone(process.pid)
    assert not (project.root / "data/08_reporting/metrics.json").exists()
    (stopped,) = project.runs()
    assert (stopped.info.status, stopped.data.tags["stage.train"]) == ("KILLED", "done")
    again = project.run("kedro", "run")
    assert "was trained before; only what comes after was missing" in again.stderr
    assert "epoch" not in again.stderr
    (run,) = project.runs()
    assert run.info.run_id == stopped.info.run_id
    check_finished(project, run, whole)


@pytest.mark.slow
def test_a_file_that_is_no_checkpoint_and_what_a_killed_process_left(
    make_project: Callable[..., Any], whole: Any
) -> None:
    project = make_project("foreign", SETTINGS)
    process = project.start("kedro", "run")
    work = project.root / "data/06_models/_work"
    wait_for(lambda: any(work.glob("*/step-*.json")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    project.run("python", "-c", DIES)
    assert len(list((project.root / "data").rglob(".*.tmp"))) >= 2
    for checkpoint in work.glob("*/step-*.ckpt"):
        checkpoint.write_bytes(b"this is no checkpoint")
    (killed,) = project.runs()
    again = project.run("kedro", "run")
    warnings = [line for line in again.stderr.splitlines() if line.startswith("WARNING: ")]
    assert warnings
    for warning in warnings:
        assert re.search(r"step-\d+\.ckpt (is damaged|was not written to its end).*\.bad and training starts", warning)
    (run,) = project.runs()
    assert run.info.run_id == killed.info.run_id
    check_finished(project, run, whole)


def digits_of_noise(mirror: Path) -> Path:
    """A mirror of a small data set in MNIST's form: 300 and 60 pictures."""
    (mirror / "mnist").mkdir(parents=True)
    noise = np.random.default_rng(0)
    for part, count in (("train", 300), ("t10k", 60)):
        pictures = noise.integers(0, 256, (count, 28, 28), np.uint8).tobytes()
        labels = (np.arange(count, dtype=np.uint8) % 10).tobytes()
        for name, header, content in (
            ("images-idx3", (2051, count, 28, 28), pictures),
            ("labels-idx1", (2049, count), labels),
        ):
            packed = gzip.compress(struct.pack(f">{len(header)}I", *header) + content)
            (mirror / "mnist" / f"{part}-{name}-ubyte.gz").write_bytes(packed)
    return mirror


@pytest.mark.slow
def test_first_runs_at_the_very_same_time(make_project: Callable[..., Any], tmp_path: Path) -> None:
    roles = ("train_images", "train_labels", "test_images", "test_labels")
    unchecked = [f"data.files.{role}.{fact}=null" for role in roles for fact in ("md5", "bytes")]
    project = make_project("together", SETTINGS)
    mirror = digits_of_noise(tmp_path / "mirror")
    started = [
        subprocess.Popen(
            ["kedro", "run", *overrides],
            cwd=project.root,
            env=project.environment | {"FOVEA_MIRROR": str(mirror)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for overrides in ([], [], ["data=mnist", *unchecked], ["model=deep_mnist"])
    ]
    said = [process.communicate(timeout=300)[1] for process in started]
    codes = [process.returncode for process in started]
    assert (sorted(codes[:2]), codes[2:]) == ([0, 1], [0, 0]), "\n".join(said)
    won, lost = (0, 1) if codes[0] == 0 else (1, 0)
    refusal = rf"Error: training of 'lenet5-digits-\w+' is already under way in process {started[won].pid} on .+; wait"
    assert re.match(refusal, said[lost].splitlines()[-1])
    runs = {run.info.run_name.rpartition("-")[0]: run for run in project.runs()}
    assert len(project.runs()) == 3
    for name, number, count in (("lenet5-digits", won, 1012), ("lenet5-mnist", 2, 60), ("deep_mnist-digits", 3, 1012)):
        run = runs[name]
        assert (run.info.status, run.data.metrics["test/count"]) == ("FINISHED", count)
        shown = rf"test accuracy {100 * run.data.metrics['test/acc']:.2f} % \(.+, {count:,} pictures\)"
        assert re.search(shown, said[number])
        assert f"(this one is {run.info.run_name})" in said[number]
    assert leftovers(project.root) == []
