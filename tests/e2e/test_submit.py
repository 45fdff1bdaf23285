"""What `kedro submit` writes, run by stand-ins for a cluster's programs on this machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.ddp, pytest.mark.slow, pytest.mark.timeout(600)]

# All tasks run here; their numbers go into a file, as SLURM signals tasks and not the script that waits for them.
SRUN = f"""\
#!{sys.executable}
import os, pathlib, subprocess, sys
words = sys.argv[1:]
options = {{}}
while words[0].startswith("--"):
    name, _, value = words.pop(0)[2:].partition("=")
    options[name] = value
tasks = int(options.get("ntasks", os.environ["SLURM_NNODES"]))
running = []
for rank in range(tasks):
    named = dict(SLURM_PROCID=rank, SLURM_LOCALID=0, SLURM_NTASKS=tasks, SLURM_STEP_NUM_TASKS=tasks)
    environment = os.environ | {{name: str(value) for name, value in named.items()}}
    running.append(subprocess.Popen(words, env=environment))
pathlib.Path("tasks").write_text(" ".join(str(one.pid) for one in running))
sys.exit(max(128 - code if code < 0 else code for code in [one.wait() for one in running]))
"""
SCONTROL = """\
#!/bin/sh
case "$1" in
show) echo 127.0.0.1; echo 127.0.0.2 ;;
requeue) echo "$2" >> requeued ;;
esac
"""


def cluster(project: Any) -> dict[str, str]:
    """Puts the programs beside the project; gives the variables of a job on two nodes."""
    folder = project.root.parent / "cluster"
    folder.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NNODES": "2"}
    return {**job, "PATH": f"{folder}{os.pathsep}{project.environment['PATH']}", "OMP_NUM_THREADS": "1"}


def test_two_nodes_of_slurm_train_go_back_into_the_queue_and_go_on(make_project: Callable[..., Any]) -> None:
    project = make_project("slurm")
    overrides = ["model=lenet5", "trainer.accelerator=cpu", "trainer.launch.nodes=2", "trainer.max_epochs=6"]
    overrides += ["callbacks.checkpoint.every_n_steps=20", "evaluate.gallery=4"]
    command = project.run("kedro", "submit", "slurm", *overrides).stdout.splitlines()[-1].split()
    assert command[0] == "sbatch"
    variables, output = cluster(project), project.root.parent / "output.log"

    job = project.start("bash", command[1], **variables)
    _wait_for(lambda: "epoch 2/" in output.read_text(), job)
    launchers = (project.root / "tasks").read_text().split()
    for pid in [*launchers, *_children(launchers)]:  # as SLURM may do; the launchers pass it on besides
        os.kill(int(pid), signal.SIGTERM)
    assert job.wait(timeout=120) == 143, output.read_text()
    assert (project.root / "requeued").read_text().split() == [variables["SLURM_JOB_ID"]]
    assert project.runs()[0].info.status == "KILLED"
    assert "Traceback" not in output.read_text()
    assert list((project.root / "data/06_models/_work").glob("*/*.ckpt"))

    job = project.start("bash", command[1], **variables, SLURM_RESTART_COUNT="1")
    assert job.wait(timeout=300) == 0, output.read_text()
    said = output.read_text()
    assert "going on from" in said
    assert "epoch 1/" not in said
    assert "was trained before" in said  # by `kedro run`, which only evaluates
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    assert run.data.tags["world_size"] == "2"
    assert run.data.tags["command"] == f"kedro run {' '.join(overrides)}"
    assert "param_drift" not in run.data.tags
    assert project.metrics()["test/acc"] == run.data.metrics["test/acc"] > 0.9
    assert list((project.root / "data/06_models/_work").glob("*/")) == []


def test_ray_trains_two_processes(make_project: Callable[..., Any]) -> None:
    pytest.importorskip("ray.train.torch", reason="the extra 'ray' is not installed")
    project = make_project("ray")
    overrides = ["model=lenet5", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=3"]
    shown = project.run("kedro", "submit", "ray", "--cpus-per-node", "2", *overrides, "evaluate.gallery=4")
    command = shown.stdout.splitlines()[-1].split(" -- ")
    assert command[0] == "ray job submit"
    project.run(*command[1].split(), RAY_ADDRESS="local", OMP_NUM_THREADS="1")
    (run,) = project.runs()
    assert (run.info.status, run.data.tags["world_size"]) == ("FINISHED", "2")
    assert project.metrics()["test/acc"] == run.data.metrics["test/acc"] > 0.9


def _children(pids: list[str]) -> list[str]:
    return [child for pid in pids for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _wait_for(happened: Callable[[], bool], process: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "the job ended too early"
        assert time.monotonic() < end, "nothing came up"
        time.sleep(0.05)
