"""A batch script for SLURM: one launcher a node, then the evaluation on the first."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass

from fovea.commands.clusters.task import Task, script
from fovea.core.errors import UserError
from fovea.training.result import FACTS

NOTICE = 120
"""Seconds before the end of the job's time at which training is told to save a checkpoint and stop."""

_FIRST_PORT, _PORTS = 20_000, 10_000  # below those that Linux gives to outgoing connections (32,768 and above)
_TIME = re.compile(r"(?:(?P<days>[0-9]+)-)?(?P<first>[0-9]+)(?::(?P<second>[0-9][0-9]?))?(?::(?P<third>[0-9][0-9]?))?")
_STOPPED = 143  # a launcher that SIGTERM stopped


@dataclass(frozen=True)
class Batch:
    """What only SLURM is told.

    Attributes:
        time: The limit, in a form that `seconds` takes; None: the partition's own.
        partition: None: the default one.
        account: None: the user's own.
        requeues: How often a job whose time is over goes back into the queue.
    """

    time: str | None
    partition: str | None
    account: str | None
    requeues: int


def seconds(limit: str) -> int:
    """A time limit as `sbatch --time` takes it, in seconds.

    Args:
        limit: ``MINUTES``, ``MINUTES:SECONDS``, ``HOURS:MINUTES:SECONDS``, ``DAYS-HOURS``, ``DAYS-HOURS:MINUTES`` or
            ``DAYS-HOURS:MINUTES:SECONDS``.

    Raises:
        UserError: It is no such limit, or too short for training to be told to stop.
    """
    found = _TIME.fullmatch(limit)
    if found is None:
        raise UserError(
            f"--time={limit} is no time limit of SLURM; write minutes (90), hours:minutes:seconds (4:00:00) or "
            "days-hours (2-12)"
        )
    first, second, third = (int(found[name] or 0) for name in ("first", "second", "third"))
    if found["days"] is not None:
        total = (int(found["days"]) * 24 + first) * 3600 + second * 60 + third
    elif found["third"] is not None:
        total = first * 3600 + second * 60 + third
    else:
        total = first * 60 + second
    if total <= NOTICE:
        raise UserError(
            f"--time={limit} is {total:,} s, but training is told to stop {NOTICE} s before the end; give it more time"
        )
    return total


def sbatch(task: Task, batch: Batch) -> str:
    """The text of the batch script.

    Args:
        task: What is trained.
        batch: What only SLURM is told.
    """
    return script([*_head(task, batch), "", *_body(task, batch)])


def _head(task: Task, batch: Batch) -> list[str]:
    wanted = task.resources
    options = {
        "job-name": task.name,
        "nodes": wanted.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": wanted.cpus,
        "gpus-per-node": wanted.gpus or None,
        "mem": f"{wanted.memory}G" if wanted.memory else None,
        "time": batch.time,
        "partition": batch.partition,
        "account": batch.account,
        "chdir": task.root,
        "output": task.root / "logs" / f"{task.name}-%j.log",
        "open-mode": "append",
        "signal": f"TERM@{NOTICE}",
    }
    flags = ["requeue", *(["no-kill"] if wanted.is_elastic else [])]
    return [
        "#!/bin/bash",
        f"# Trains {task.summary}, then evaluates it.",
        "# Written by `kedro submit slurm`.",
        *(f"#SBATCH --{key}={shlex.quote(str(value))}" for key, value in options.items() if value is not None),
        *(f"#SBATCH --{flag}" for flag in flags),
    ]


def _body(task: Task, batch: Batch) -> list[str]:
    wanted = task.resources
    launcher = shlex.join([sys.executable, "-m", "fovea.training.launcher", str(task.resolved)])
    no_kill = " --no-kill" if wanted.is_elastic else ""
    return [
        'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        f"port=$(({_FIRST_PORT} + SLURM_JOB_ID % {_PORTS}))",
        "",
        f"# SLURM sends SIGTERM to the steps, not to this script, {NOTICE} s before the time is over. They save a",
        f"# checkpoint and end with {_STOPPED}; then the job goes back into the queue, and goes on from there.",
        "end() {",
        f'    if [ "$1" -eq {_STOPPED} ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {batch.requeues} ]; then',
        '        scontrol requeue "$SLURM_JOB_ID"',
        "    fi",
        '    exit "$1"',
        "}",
        "",
        "# One launcher a node. One that ends does not end the others, which may be saving.",
        f"srun --ntasks-per-node=1 --cpus-per-task={wanted.cpus} --kill-on-bad-exit=0 --wait=0{no_kill} \\",
        f"    {launcher} \\",
        f"    --processes {wanted.processes} --nodes {wanted.min_nodes}:{wanted.nodes} \\",
        '    --rendezvous "$first:$port" --job "$SLURM_JOB_ID"',
        "code=$?",
        "",
        "# Nodes that were lost make the step fail; whether training is finished, its result says.",
        f"if [ ! -e {shlex.quote(str(task.work / 'result' / FACTS))} ]; then",
        '    end "$code"',
        "fi",
        "",
        "# Training is finished: this evaluates it, on the first node.",
        f'srun --nodes=1 --ntasks=1 --cpus-per-task={wanted.cpus} --nodelist="$first" \\',
        f"    {task.evaluation(sys.executable)}",
        "end $?",
    ]
