"""How many processes train, by the config and by what this machine has."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fovea.config.shares import check_shares
from fovea.core.errors import UserError
from fovea.core.resources import usable_cores

if TYPE_CHECKING:
    from fovea.config.schema import TrainerConfig
    from fovea.training.job import TrainJob

log = logging.getLogger("fovea")


def count_devices(trainer: TrainerConfig) -> int:
    """The processes that train on this machine, one a device.

    Loads torch only where GPUs may be in use.

    Raises:
        UserError: There are not so many GPUs.
    """
    if trainer.devices == 1:
        return 1
    gpus = 0
    if trainer.accelerator != "cpu":
        import torch

        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if trainer.devices == "auto":
        return max(gpus, 1)
    if gpus and trainer.devices > gpus:
        raise UserError(
            f"trainer.devices={trainer.devices}, but torch finds {gpus} GPU(s); take trainer.devices={gpus} or auto, "
            "or trainer.accelerator=cpu"
        )
    return trainer.devices


def check_devices(job: TrainJob, devices: int) -> None:
    """Refuses what cannot run on so many devices of this machine.

    Raises:
        UserError: Several machines are asked for, a strategy that needs GPUs, or a batch that cannot be shared.
    """
    trainer = job.trainer
    check_shares(job.loader.batch_size, devices, mixed=is_mixed(job))
    if trainer.launch.nodes > 1:
        raise UserError(
            f"trainer.launch.nodes={trainer.launch.nodes} needs a process on each of them; `kedro submit` writes what "
            "starts it, or take trainer.launch.nodes=1"
        )
    if trainer.strategy == "fsdp" and devices > 1:
        import torch

        if trainer.accelerator == "cpu" or not torch.cuda.is_available():
            raise UserError("trainer.strategy=fsdp needs GPUs, and none is in use; take trainer.strategy=ddp")
        from fovea.training.sharding import check_sharding

        check_sharding(job)
    cores = usable_cores()
    if devices > cores:
        log.warning("train: %d processes share %d core(s); trainer.devices=%d is faster", devices, cores, cores)


def is_mixed(job: TrainJob) -> bool:
    """Whether pictures of a batch are mixed with each other."""
    return job.augment.mix.is_on and job.trainer.overfit_batches is None
