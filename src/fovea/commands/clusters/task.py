"""What a cluster is asked for, apart from how it is told."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.config.shares import check_shares
from fovea.core.errors import UserError
from fovea.training.devices import is_mixed

if TYPE_CHECKING:
    from fovea.config.schema import TrainerConfig
    from fovea.training.job import TrainJob

READERS = 3
"""Processes that are reckoned to read pictures for a training process, where `loader.num_workers` is `auto`."""


@dataclass(frozen=True)
class Resources:
    """What each node gives.

    Attributes:
        nodes: Machines.
        min_nodes: As few may go on when others leave.
        processes: That train on each node.
        gpus: Of each node; 0: processors train.
        cpus: Cores of each node.
        memory: GB of 1024 MB of each node; None: what the cluster gives by itself.
    """

    nodes: int
    min_nodes: int
    processes: int
    gpus: int
    cpus: int
    memory: int | None

    @property
    def is_elastic(self) -> bool:
        """Whether training goes on when a node has left."""
        return self.min_nodes < self.nodes


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        name: Of the MLflow run and of the work folder.
        root: The project's folder, the same on every node.
        work: The work folder, which holds `resolved.yaml`.
        run: The words behind `kedro run` that evaluate what was trained.
        resources: Of the nodes.
    """

    name: str
    root: Path
    work: Path
    run: tuple[str, ...]
    resources: Resources

    @property
    def resolved(self) -> Path:
        """The file that the worker takes."""
        return self.work / "resolved.yaml"

    @property
    def summary(self) -> str:
        """What is asked for, in words."""
        wanted = self.resources
        nodes = f"{wanted.nodes} nodes" if wanted.nodes > 1 else "1 node"
        least = f" (at least {wanted.min_nodes})" if wanted.is_elastic else ""
        processes = "1 process" if wanted.processes == 1 else f"{wanted.processes} processes"
        each = " each" if wanted.nodes > 1 else ""
        return f"{self.name} on {nodes}{least} with {processes}{each}, on {'GPUs' if wanted.gpus else 'CPUs'}"

    def evaluation(self, python: str) -> str:
        """The command that evaluates what was trained, quoted for a shell.

        Args:
            python: The interpreter.
        """
        return shlex.join([python, "-m", "kedro", "run", *self.run])


def resources(job: TrainJob, gpus: int | None, cpus: int | None, memory: int | None) -> Resources:
    """What a training needs of each node.

    Args:
        job: Says how many nodes, processes on each, and readers of each process.
        gpus: Of each node, as the user says; None: as the config says.
        cpus: Cores of each node; None: one for each process that trains or reads.
        memory: GB of each node; None: not said.

    Raises:
        UserError: The config does not say how many GPUs a node has, it does not fit what the user says, or the batch
            cannot be shared.
    """
    trainer = job.trainer
    launch = trainer.launch
    if launch.nodes == 1 and launch.min_nodes is not None:
        raise UserError(
            "trainer.launch.min_nodes=1 says what may go on when other nodes leave, but trainer.launch.nodes=1 has no "
            "others; take trainer.launch.nodes=2 or more, or trainer.launch.min_nodes=null"
        )
    on_gpus = _gpus(trainer, gpus)
    if trainer.strategy == "fsdp" and not on_gpus:
        raise UserError("trainer.strategy=fsdp needs GPUs; say --gpus-per-node, or take trainer.strategy=ddp")
    processes = on_gpus or (1 if trainer.devices == "auto" else trainer.devices)
    readers = READERS if job.loader.num_workers == "auto" else job.loader.num_workers
    wanted = Resources(
        nodes=launch.nodes,
        min_nodes=launch.min_nodes or launch.nodes,
        processes=processes,
        gpus=on_gpus,
        cpus=cpus or processes * (1 + readers),
        memory=memory,
    )
    _check_batch(job, wanted)
    return wanted


def _check_batch(job: TrainJob, wanted: Resources) -> None:
    """Refuses a batch that the processes cannot share, with every number of nodes that may be left."""
    for nodes in range(wanted.min_nodes, wanted.nodes + 1):
        check_shares(job.loader.batch_size, nodes * wanted.processes, mixed=is_mixed(job))


def _gpus(trainer: TrainerConfig, said: int | None) -> int:
    """The GPUs that each node must have.

    The machine that the command runs on tells nothing: those that train are others.
    """
    devices, accelerator = trainer.devices, trainer.accelerator
    if accelerator == "cpu":
        if said:
            raise UserError(
                f"--gpus-per-node={said}, but trainer.accelerator=cpu uses none; take trainer.accelerator=gpu"
            )
        return 0
    if said is None and (devices == "auto" or accelerator == "auto"):
        key = "trainer.devices=auto" if devices == "auto" else "trainer.accelerator=auto"
        none = " (0: none)" if accelerator == "auto" else ""
        raise UserError(f"{key} leaves open what the nodes have; say how many GPUs each has: --gpus-per-node=N{none}")
    if said == 0:
        if accelerator == "gpu":
            raise UserError("--gpus-per-node=0, but trainer.accelerator=gpu needs one; take trainer.accelerator=cpu")
        return 0
    if said is not None and devices not in ("auto", said):
        raise UserError(
            f"--gpus-per-node={said}, but trainer.devices={devices} trains on {devices} of each node; take "
            f"--gpus-per-node={devices} or trainer.devices={said}"
        )
    return said if said is not None else int(devices)


def script(lines: Sequence[str]) -> str:
    """Lines as the text of a file."""
    return "\n".join(lines) + "\n"
