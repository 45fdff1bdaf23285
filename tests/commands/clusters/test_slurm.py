"""The batch script: what it asks for, and what it runs when a cluster runs it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fovea.commands.clusters.slurm import Batch, sbatch, seconds
from fovea.commands.clusters.task import Task
from fovea.core.errors import UserError

MakeTask = Callable[..., Task]
RunWithFakes = Callable[..., tuple[int, list[str]]]

PLAIN = Batch(time=None, partition=None, account=None, requeues=20)
VARIABLES = {"SLURM_JOB_ID": "1234567", "SLURM_JOB_NODELIST": "node[3-4]"}
SCONTROL = 'if [ "$1" = show ]; then echo node3; echo node4; fi'


def options(text: str) -> dict[str, str]:
    """The options of a batch script, read as `sbatch` reads them: until the first command, with quotes."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            break
        if line.startswith("#SBATCH "):
            (word,) = shlex.split(line.removeprefix("#SBATCH "))
            name, _, value = word.removeprefix("--").partition("=")
            found[name] = value
    return found


def write(text: str, folder: Path) -> Path:
    path = folder / "train.sbatch"
    path.write_text(text)
    return path


def test_it_asks_for_nodes_and_gpus_and_a_signal_before_the_end(make_task: MakeTask) -> None:
    task = make_task(nodes=2, min_nodes=2, processes=4, gpus=4, cpus=16, memory=64)
    text = sbatch(task, Batch("8:00:00", "gpu", "vision", 20))
    assert options(text) == {
        "job-name": task.name,
        "nodes": "2",
        "ntasks-per-node": "1",
        "cpus-per-task": "16",
        "gpus-per-node": "4",
        "mem": "64G",
        "time": "8:00:00",
        "partition": "gpu",
        "account": "vision",
        "chdir": str(task.root),
        "output": f"{task.root}/logs/{task.name}-%j.log",
        "open-mode": "append",
        "signal": "TERM@120",
        "requeue": "",
    }


def test_what_was_not_said_is_left_to_the_cluster(make_task: MakeTask) -> None:
    found = options(sbatch(make_task(), PLAIN))
    assert not {"time", "partition", "account", "mem", "gpus-per-node", "no-kill"} & found.keys()


def test_a_job_that_goes_on_with_fewer_nodes_is_not_killed_with_one(make_task: MakeTask) -> None:
    text = sbatch(make_task(nodes=4, min_nodes=2), PLAIN)
    assert "no-kill" in options(text)
    assert "--no-kill \\" in text
    assert "--nodes 2:4" in text


def test_the_shell_understands_it(make_task: MakeTask, tmp_path: Path) -> None:
    path = write(sbatch(make_task(nodes=2, min_nodes=1), Batch("90", "a b", None, 3)), tmp_path)
    checked = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_it_starts_a_launcher_a_node_and_then_evaluates_on_the_first(
    make_task: MakeTask, run_with_fakes: RunWithFakes, tmp_path: Path
) -> None:
    task = make_task(nodes=2, min_nodes=2)
    result = task.work / "result" / "model.json"
    srun = f'case "$*" in *launcher*) mkdir "{result.parent}"; touch "{result}";; esac'
    script = write(sbatch(task, PLAIN), tmp_path)
    code, calls = run_with_fakes(["bash", str(script)], {"srun": srun, "scontrol": SCONTROL}, **VARIABLES)
    assert code == 0
    assert calls == [
        "scontrol <show> <hostnames> <node[3-4]>",
        "srun <--ntasks-per-node=1> <--cpus-per-task=8> <--kill-on-bad-exit=0> <--wait=0> "
        f"<{sys.executable}> <-m> <fovea.training.launcher> <{task.resolved}> <--processes> <2> <--nodes> <2:2> "
        "<--rendezvous> <node3:24567> <--job> <1234567>",
        "srun <--nodes=1> <--ntasks=1> <--cpus-per-task=8> <--nodelist=node3> "
        f"<{sys.executable}> <-m> <kedro> <run> <model=lenet5> <data.mean=[0.5]>",
    ]


def test_a_lost_node_does_not_keep_a_finished_training_from_being_evaluated(
    make_task: MakeTask, run_with_fakes: RunWithFakes, tmp_path: Path
) -> None:
    task = make_task(nodes=2, min_nodes=1)
    result = task.work / "result" / "model.json"
    srun = f'case "$*" in *launcher*) mkdir "{result.parent}"; touch "{result}"; exit 137;; esac'
    script = write(sbatch(task, PLAIN), tmp_path)
    code, calls = run_with_fakes(["bash", str(script)], {"srun": srun, "scontrol": SCONTROL}, **VARIABLES)
    assert code == 0
    assert "<kedro> <run>" in calls[-1]


@pytest.mark.parametrize(
    ("ended", "restarts", "is_queued"),
    [(143, "0", True), (143, "19", True), (143, "20", False), (1, "0", False), (2, "0", False), (137, "0", False)],
)
def test_only_what_the_clock_stopped_goes_back_into_the_queue(
    make_task: MakeTask, run_with_fakes: RunWithFakes, tmp_path: Path, ended: int, restarts: str, is_queued: bool
) -> None:
    script = write(sbatch(make_task(), PLAIN), tmp_path)
    fakes = {"srun": f"exit {ended}", "scontrol": SCONTROL}
    code, calls = run_with_fakes(["bash", str(script)], fakes, **VARIABLES, SLURM_RESTART_COUNT=restarts)
    assert code == ended
    assert ("scontrol <requeue> <1234567>" in calls) is is_queued
    assert sum(call.startswith("srun") for call in calls) == 1


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        ("90", 5_400),
        ("90:30", 5_430),
        ("8:00:00", 28_800),
        ("1-0", 86_400),
        ("2-12", 216_000),
        ("1-2:30", 95_400),
        ("1-2:30:15", 95_415),
    ],
)
def test_limits_of_time_as_slurm_writes_them(limit: str, wanted: int) -> None:
    assert seconds(limit) == wanted


@pytest.mark.parametrize("limit", ["4h", "", "1:2:3:4", "-5", "8:000", "one", "٣٠"])
def test_another_form_is_refused(limit: str) -> None:
    with pytest.raises(UserError, match=r"--time=.* is no time limit of SLURM; write minutes"):
        seconds(limit)


def test_a_limit_that_leaves_no_time_for_a_checkpoint_is_refused() -> None:
    with pytest.raises(UserError, match=r"--time=2 is 120 s, but training is told to stop 120 s before the end"):
        seconds("2")
