"""Weights of a network of which each process holds a part (`trainer.strategy=fsdp`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pytorch_lightning.strategies import FSDPStrategy

from fovea.core.errors import UserError

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import Tensor

    from fovea.training.job import TrainJob
    from fovea.training.module import ClassifierModule

_NET = "net."


def check_sharding(job: TrainJob) -> None:
    """Refuses what needs the whole network in one place.

    Raises:
        UserError: The recipe has it.
    """
    for key, is_on in (
        ("callbacks.averaging.kind", job.callbacks.averaging.kind != "none"),
        ("trainer.gradient_clip_norm", job.trainer.gradient_clip_norm is not None),
        ("trainer.gradient_compression", job.trainer.gradient_compression != "none"),
        ("finetune.cache_features", job.finetune.mode == "head" and job.finetune.cache_features),
    ):
        if is_on:
            raise UserError(
                f"{key} needs the whole network in every process, and trainer.strategy=fsdp shares it out; take "
                "trainer.strategy=ddp, or leave it out"
            )


def delivered(trainer: pl.Trainer, module: ClassifierModule) -> Mapping[str, Tensor]:
    """The tensors to deliver, by their names in the network; every process must ask, rank 0 gets them."""
    if isinstance(trainer.strategy, FSDPStrategy):
        return _of_net(trainer.strategy.lightning_module_state_dict())
    return module.delivered()


def saved(checkpoint: Path) -> Mapping[str, Tensor]:
    """The tensors of the network in a checkpoint, by their names in it."""
    return _of_net(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"])


def _of_net(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(_NET): tensor for name, tensor in tensors.items() if name.startswith(_NET)}
