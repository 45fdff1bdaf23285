"""Commands whose processes are all killed, again and again: the same command ends as if nothing had been."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = """\
trainer: {max_epochs: 3, limit_batches: 20, accelerator: cpu, threads: 1}
callbacks: {checkpoint: {every_n_steps: 2}}
augment: {train: []}
evaluate: {gallery: 4}
"""
WEIGHTS = "data/06_models/model/model.safetensors"

# The third checkpoint is half written when the process is killed by its own hand.
KILLED_IN_SAVING = """\
import os, signal, sys
import torch
from fovea.__main__ import main
whole, count = torch.save, 0
def save(content, file, *rest, **named):
    global count
    count += 1
    if count == 3:
        whole({"half": torch.zeros(1000)}, file)
        os.kill(os.getpid(), signal.SIGKILL)
    whole(content, file, *rest, **named)
torch.save = save
sys.argv = ["fovea", "run"]
main()
"""


def processes_of(root: Path) -> dict[int, str]:
    """The living processes that have to do with a project: by their folder, command line or environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes()
            about = [os.fsencode((folder / "cwd").readlink()), words, (folder / "environ").read_bytes()]
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX" and any(os.fsencode(root) in text for text in about):
                found[int(folder.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


def are_gone(root: Path, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while processes_of(root) and time.monotonic() < end:
        time.sleep(0.05)
    return processes_of(root) == {}


def kill_when(happened: Callable[[], object], process: Any, root: Path, *, first_alone: bool = False) -> None:
    """Kills all processes of a command, or the first alone, as soon as something has happened."""
    end = time.monotonic() + 300
    while not happened():
        assert process.poll() is None, "the command ended before there was anything to kill"
        assert time.monotonic() < end, "nothing to kill came up"
        time.sleep(0.002)
    for pid in [process.pid] if first_alone else processes_of(root):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL


def said(project: Any) -> str:
    text: str = (project.root.parent / "output.log").read_text()
    return text


def check_like(project: Any, whole: Any) -> None:
    """One finished run without doubled points, with the curves and the outputs of the one that nobody killed."""
    assert project.outputs().keys() == whole.outputs().keys()
    assert project.metrics() == whole.metrics()
    assert (project.root / WEIGHTS).read_bytes() == (whole.root / WEIGHTS).read_bytes()
    (run,), (expected,) = project.runs(), whole.runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics.keys() == expected.data.metrics.keys()
    for name in run.data.metrics:
        points = history(project, run, name)
        assert set(Counter(step for step, _ in points).values()) == {1}, f"{name} was logged twice"
        if not name.startswith(("time/", "throughput/")):
            assert points == history(whole, expected, name)
    left = [*project.root.glob(".*.tmp"), *(project.root / "data").rglob(".*.tmp")]
    left += [*(project.root / "data/08_reporting/_untracked").glob("*")]
    left += [*(project.root / "data/06_models/_work").glob("*/")]
    assert left == []
    assert are_gone(project.root, 5)


def history(project: Any, run: Any, name: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{project.root}/mlflow.db")
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))


@pytest.fixture(scope="module")
def whole(make_project: Callable[..., Any]) -> Any:
    """A copy after a run that nobody killed."""
    project = make_project("unkilled", SETTINGS)
    project.run("kedro", "run")
    return project


def test_kedro_run_killed_in_every_part(make_project: Callable[..., Any], whole: Any) -> None:
    project = make_project("killed", SETTINGS)
    data = project.root / "data"
    steps: list[Callable[[], object]] = [
        lambda: any((data / "03_primary").rglob(".*.tmp")),
        (project.root / "mlflow.db-journal").exists,
        lambda: any((data / "06_models/_work").glob("*/.step-*.tmp")),
        lambda: "epoch 2/3" in said(project),
        lambda: "evaluate: " in said(project),
    ]
    for happened in steps:
        process = project.start("kedro", "run")
        kill_when(happened, process, project.root)
        assert are_gone(project.root, 2)
    project.run("kedro", "run")
    check_like(project, whole)


def test_dvc_repro_killed_with_its_stage_and_alone(make_project: Callable[..., Any], whole: Any) -> None:
    project = make_project("killed_dvc", SETTINGS)
    process = project.start("dvc", "repro")
    writing = project.root / "data/06_models/_work"
    kill_when(lambda: any(writing.glob("*/.step-*.tmp")), process, project.root)
    assert are_gone(project.root, 2)
    process = project.start("dvc", "repro")
    kill_when(lambda: "epoch 2/3" in said(project), process, project.root, first_alone=True)
    assert are_gone(project.root, 20)
    assert "interrupted by SIGTERM" in said(project)
    project.run("dvc", "repro")
    check_like(project, whole)


def test_a_checkpoint_that_is_half_written(make_project: Callable[..., Any], whole: Any) -> None:
    project = make_project("half", SETTINGS)
    done = project.run(sys.executable, "-c", KILLED_IN_SAVING, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list((project.root / "data/06_models/_work").rglob(".*.tmp"))) == 1
    again = project.run("kedro", "run")
    assert "WARNING" not in again.stderr
    check_like(project, whole)


@pytest.mark.ddp
def test_two_processes_killed_together_and_the_first_alone(make_project: Callable[..., Any]) -> None:
    settings = SETTINGS.replace("threads: 1", "threads: 1, devices: 2")
    whole, project = make_project("unkilled_two", settings), make_project("killed_two", settings)
    whole.run("kedro", "run")
    work = project.root / "data/06_models/_work"
    process = project.start("kedro", "run")
    kill_when(lambda: any(work.glob("*/step-*.json")), process, project.root)
    assert are_gone(project.root, 2)
    process = project.start("kedro", "run")
    kill_when(lambda: "epoch 2/3" in said(project), process, project.root, first_alone=True)
    assert are_gone(project.root, 10)
    project.run("kedro", "run")
    check_like(project, whole)
