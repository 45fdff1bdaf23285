"""What gradients travel as between the ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytorch_lightning as pl
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

_HOOKS: dict[str, Callable[..., Any]] = {
    "bf16": default_hooks.bf16_compress_hook,
    "fp16": default_hooks.fp16_compress_hook,
}


class Compression(pl.Callback):
    """Lets DDP average the gradients in 16 bits; every rank then has the same rounded mean in its own precision.

    Lightning's own way to say so (`ddp_comm_hook`) is passed over in silence where there is no GPU.

    Args:
        kind: `bf16` keeps the range of 32-bit floats, `fp16` three more bits of their digits.
    """

    def __init__(self, kind: Literal["bf16", "fp16"]) -> None:
        self._hook = _HOOKS[kind]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tells DDP, which wraps the module by now; a process alone sends nothing."""
        if isinstance(trainer.strategy.model, DistributedDataParallel):
            trainer.strategy.model.register_comm_hook(None, self._hook)
