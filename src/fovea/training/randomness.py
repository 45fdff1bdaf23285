"""Randomness inside the network (dropout) as a function of the position in the run, so that nothing need be saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from fovea.training.shared_noise import Noise


def step_seed(seed: int, epoch: int, batch: int, rank: int) -> int:
    """A 63-bit seed that differs for every (seed, epoch, batch, rank)."""
    return int(np.random.SeedSequence((seed, epoch, batch, rank)).generate_state(1, np.uint64)[0] >> 1)


class StepRandomness(pl.Callback):
    """Seeds torch before every training step from the step's position.

    A resumed run draws what the uninterrupted one would have drawn.

    Args:
        seed: The run's seed.
        noise: What is drawn on all ranks alike; None: there is one rank.
    """

    def __init__(self, seed: int, noise: Noise | None = None) -> None:
        self._seed = seed
        self._noise = noise

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds torch's generators."""
        position = (self._seed, trainer.current_epoch, batch_idx)
        torch.manual_seed(step_seed(*position, trainer.global_rank))
        if self._noise is not None:
            self._noise.start(step_seed(*position, 0))
