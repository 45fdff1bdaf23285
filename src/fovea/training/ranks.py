"""Which of the processes that train together this one is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from fovea.core.errors import UserError


@dataclass(frozen=True)
class Ranks:
    """The place of a process among all.

    Attributes:
        rank: Its number among all processes, from 0.
        local_rank: Its number among those of its machine; that of its GPU.
        world_size: All processes.
        local_world_size: Those of its machine.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    local_world_size: int = 1

    @classmethod
    def here(cls, environment: Mapping[str, str] = os.environ) -> Ranks:
        """As torchrun, Ray or a PyTorchJob say, else as SLURM's `srun` says; else a process alone.

        Args:
            environment: The variables of the environment.

        Raises:
            UserError: What they say is no place among processes.
        """
        if "RANK" in environment and "WORLD_SIZE" in environment:
            names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        elif environment.get("SLURM_STEP_NUM_TASKS", "1") != "1":
            names = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS_PER_NODE")
        else:
            return cls()
        try:
            rank, world = int(environment[names[0]]), int(environment[names[2]])
            local_world = int(environment.get(names[3], world))
            local = int(environment.get(names[1], rank % local_world))
        except (KeyError, ValueError, ZeroDivisionError):
            said = ", ".join(f"{name}={environment.get(name)}" for name in names)
            raise UserError(f"the environment names no rank ({said}); start with torchrun, srun or kedro run") from None
        if not (0 <= rank < world and 0 <= local < local_world):
            raise UserError(f"rank {rank} of {world} processes, {local} of {local_world} here, cannot be")
        return cls(rank, local, world, local_world)

    @property
    def nodes(self) -> int:
        """Machines."""
        return max(1, self.world_size // self.local_world_size)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0


ALONE = Ranks()
"""A process that trains alone."""
