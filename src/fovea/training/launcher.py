"""Starts the processes of a training on this machine, replaces those that die, and says what became of them.

    python -m fovea.training.launcher RESOLVED.yaml [--processes N] [--nodes MIN:MAX --rendezvous HOST:PORT]

On several machines the same command runs on each; they must share the project's folder. HOST is one of them.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.config import logs
from fovea.core.errors import FoveaError, Interrupted, RunError, UserError
from fovea.core.resources import usable_cores
from fovea.core.stopping import stoppable
from fovea.training.failures import Failure

if TYPE_CHECKING:
    from fovea.config.schema import TrainerConfig

log = logging.getLogger("fovea")

PARENT = "FOVEA_LAUNCHER"
"""The variable that names the launching process."""

HELD = "FOVEA_WORK_HELD"
"""The variable that says that the launching process holds the work folder."""


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        processes: On this machine.
        nodes: Least and most machines.
        rendezvous: ``HOST:PORT`` where machines find each other; None: there is only this one.
        job: What all machines of one training call it.
        address: This machine's, as the others see it; None: by its name.
    """

    processes: int
    nodes: tuple[int, int] = (1, 1)
    rendezvous: str | None = None
    job: str = "fovea"
    address: str | None = None


def launch(resolved: Path, group: Group, trainer: TrainerConfig, *, is_held: bool = False) -> None:
    """Runs the worker in every process of this machine until training has ended.

    Args:
        resolved: The work folder's `resolved.yaml`.
        group: The processes.
        trainer: The `trainer` section of the job.
        is_held: Whether this process holds the work folder; else rank 0 takes it.

    Raises:
        UserError: A process refused the job; no other was started.
        RunError: Training failed, also after `trainer.launch.max_restarts` restarts.
        Interrupted: A signal ended it; the state was saved.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // group.processes)))
    variables = {PARENT: str(os.getpid()), HELD: str(int(is_held)), "FOVEA_VERBOSE": str(int(logs.is_verbose()))}
    os.environ |= variables
    from fovea.training.agent import run_agent

    folder = Path(tempfile.mkdtemp(prefix="launch-", dir=resolved.parent))
    try:
        failures = run_agent(["-m", "fovea.training.worker", str(resolved)], group, trainer.launch, folder)
    finally:
        for name in variables:
            del os.environ[name]
        shutil.rmtree(folder, ignore_errors=True)
    if failures:
        _tell(failures, trainer)


def _tell(failures: list[Failure], trainer: TrainerConfig) -> None:
    from fovea.training.failures import cause

    first = cause(failures)
    if first.code == UserError.exit_code:
        raise UserError(first.report or first.sentence)
    if first.code > 128:
        raise Interrupted(first.code - 128)
    if first.is_final and first.report:
        raise RunError(first.report)
    used = trainer.launch.max_restarts
    again = f", and {used} restart(s) did not help (trainer.launch.max_restarts)" if used and not first.is_final else ""
    raise RunError(f"training failed: {first.sentence}{again}; the same command goes on from the last checkpoint")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the launcher; returns the process's exit code."""
    from fovea.training.worker import read_job

    parser = argparse.ArgumentParser(prog="python -m fovea.training.launcher", description=__doc__.split("\n")[0])
    parser.add_argument("resolved", type=Path, help="the work folder's resolved.yaml")
    parser.add_argument("--processes", type=int, help="on this machine; default: trainer.devices")
    parser.add_argument("--nodes", default="1", help="machines, as N or LEAST:MOST")
    parser.add_argument("--rendezvous", metavar="HOST:PORT", help="where the machines find each other")
    parser.add_argument("--address", help="this machine's, as the others see it; default: by its name")
    parser.add_argument("--job", default="fovea", help="the same name on all machines of one training")
    words = parser.parse_args(arguments)
    try:
        with stoppable():
            nodes = _nodes(words.nodes)
            _check_words(words.processes, nodes, words.rendezvous)
            from fovea.training.devices import count_devices

            trainer = read_job(words.resolved).job.trainer
            processes = count_devices(trainer) if words.processes is None else words.processes
            launch(words.resolved, Group(processes, nodes, words.rendezvous, words.job, words.address), trainer)
    except (FoveaError, Interrupted) as error:
        log.error("%s", error)
        return error.exit_code
    return 0


def _check_words(processes: int | None, nodes: tuple[int, int], rendezvous: str | None) -> None:
    """Refuses what torch would answer with a traceback, or by waiting in vain."""
    if processes is not None and processes < 1:
        raise UserError(f"--processes {processes} trains nothing; take 1 or more, or leave it out")
    if rendezvous is None:
        if nodes[1] > 1:
            raise UserError(
                f"--nodes {nodes[0]}:{nodes[1]} needs a place where the machines meet; add --rendezvous HOST:PORT with "
                "HOST one of them, or take --nodes 1"
            )
        return
    from torch.distributed.elastic.rendezvous.utils import parse_rendezvous_endpoint

    try:
        parse_rendezvous_endpoint(rendezvous, default_port=0)
    except ValueError:
        raise UserError(f"--rendezvous {rendezvous} is not HOST:PORT; take for instance node1:29400") from None


def _nodes(text: str) -> tuple[int, int]:
    return least_and_most(text, "--nodes", "machines", "2 or 1:2")


def least_and_most(text: str, option: str, what: str, example: str) -> tuple[int, int]:
    """The two numbers of an option that takes N or LEAST:MOST.

    Args:
        text: What was given.
        option: Its name.
        what: What it counts.
        example: Of what it takes.

    Raises:
        UserError: They are no numbers from 1, or the first is larger.
    """
    least, _, most = text.partition(":")
    try:
        numbers = int(least), int(most or least)
    except ValueError:
        numbers = (0, 0)
    if not 1 <= numbers[0] <= numbers[1]:
        raise UserError(f"{option} {text} is neither a number of {what} nor LEAST:MOST; take for instance {example}")
    return numbers


if __name__ == "__main__":
    from fovea.training.worker import speak

    speak()
    sys.exit(main())
