"""How Lightning shares the work between processes that somebody else has started."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import ClusterEnvironment
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, Strategy
from torch import distributed

from fovea.core.errors import UserError
from fovea.training.accord import is_shared
from fovea.training.ranks import Ranks

if TYPE_CHECKING:
    from fovea.config.schema import TrainerConfig

log = logging.getLogger("fovea")


class RanksEnvironment(ClusterEnvironment):
    """Tells Lightning what `Ranks` knows, so that it starts no process and asks no variables.

    Args:
        ranks: The place of this process.
    """

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    @property
    def creates_processes_externally(self) -> bool:
        """They run already."""
        return True

    @property
    def main_address(self) -> str:
        """Where rank 0 listens."""
        return os.environ.get("MASTER_ADDR", "127.0.0.1")

    @property
    def main_port(self) -> int:
        """On which port."""
        return int(os.environ.get("MASTER_PORT", "0"))

    @staticmethod
    def detect() -> bool:
        """Never found by itself."""
        return False

    def world_size(self) -> int:
        """All processes."""
        return self._ranks.world_size

    def set_world_size(self, size: int) -> None:
        """What Lightning counts is known already."""

    def global_rank(self) -> int:
        """The number of this process."""
        return self._ranks.rank

    def set_global_rank(self, rank: int) -> None:
        """What Lightning counts is known already."""

    def local_rank(self) -> int:
        """Its number on this machine."""
        return self._ranks.local_rank

    def node_rank(self) -> int:
        """The number of this machine."""
        return self._ranks.rank // self._ranks.local_world_size


def backend(trainer: TrainerConfig) -> str:
    """What carries the gradients: nccl between GPUs, gloo between processes on CPUs."""
    return "nccl" if trainer.accelerator != "cpu" and torch.cuda.is_available() else "gloo"


@contextmanager
def joined(ranks: Ranks, trainer: TrainerConfig) -> Iterator[None]:
    """Lets the processes find each other within the block; a process alone finds nobody.

    Raises:
        RunError: They do not come together.
    """
    if ranks.world_size == 1 or distributed.is_initialized():  # Ray lets them find each other
        yield
        return
    if "MASTER_ADDR" not in os.environ or "MASTER_PORT" not in os.environ:
        raise UserError(
            "MASTER_ADDR and MASTER_PORT must name where rank 0 listens; torchrun sets them, before srun export them"
        )
    kind = backend(trainer)
    if kind == "nccl":
        torch.cuda.set_device(ranks.local_rank)
    # Twice the patience of the launcher, which says which process hangs; this only says that one does.
    limit = timedelta(seconds=2 * trainer.launch.timeout_seconds)
    distributed.init_process_group(kind, rank=ranks.rank, world_size=ranks.world_size, timeout=limit)
    try:
        yield
    finally:
        if distributed.is_initialized():  # Lightning takes it down with its trainer
            distributed.destroy_process_group()


def check_alike(facts: dict[str, str]) -> None:
    """Refuses processes that would not train the same thing.

    Args:
        facts: What must be the same everywhere, by its name, such as the digest of the code.

    Raises:
        UserError: Something differs; on every process alike.
    """
    if not is_shared():
        return
    everywhere: list[dict[str, str]] = [{} for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(everywhere, facts)
    first = everywhere[0]
    for rank, other in enumerate(everywhere):
        for name in first:
            if other.get(name) != first[name]:
                raise UserError(
                    f"rank {rank} has another {name} than rank 0 ({other.get(name)} instead of {first[name]}); give "
                    "every machine the same code, packages, config and data"
                )


def strategy_of(trainer: TrainerConfig, ranks: Ranks, *, joins_later: bool) -> dict[str, Any]:
    """Lightning's arguments for these processes; none for a process alone.

    Args:
        trainer: The `trainer` section.
        ranks: The place of this process.
        joins_later: Whether parameters that are frozen now will be trained.
    """
    if ranks.world_size == 1:
        return {"devices": 1}
    strategy: Strategy
    if trainer.strategy == "fsdp":
        strategy = FSDPStrategy(state_dict_type="full", use_orig_params=True)
    else:
        # Batch norms: see `SharedStatistics`. The buffers must not be sent in forward passes, of which processes do
        # not have equally many where validation pictures cannot be shared evenly.
        strategy = DDPStrategy(
            process_group_backend=backend(trainer),
            forward_sync_buffers=False,
            find_unused_parameters=joins_later,
            gradient_as_bucket_view=True,
        )
    return {
        "devices": ranks.local_world_size,
        "num_nodes": ranks.nodes,
        "strategy": strategy,
        "plugins": [RanksEnvironment(ranks)],
    }


class SharedStatistics(pl.Callback):
    """Gives every process the running statistics of rank 0 before they are used, as torch's DDP does at every step."""

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sends the buffers of the network."""
        for buffer in pl_module.get_submodule("net").buffers():
            distributed.broadcast(buffer, src=0)


def first_of_all(value: str | None) -> str | None:
    """What rank 0 says, on every process."""
    if not is_shared():
        return value
    said = [value]
    distributed.broadcast_object_list(said, src=0)
    return said[0]
