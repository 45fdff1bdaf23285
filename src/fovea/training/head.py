"""The training of a head alone, on the features that a frozen network gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fovea.training.module import ClassifierModule

_SMALL = 100_000  # parameters


class HeadModule(ClassifierModule):
    """Trains the linear layer of a network; delivers the whole network.

    Args:
        network: The network that the head belongs to.
        path: Of the head in it, as ``net.classifier``.
        head: The layer, also while it is away from the network.
        dropout: Part of the features that are left out at a training step.
        recipe: Optimiser, schedule and length of the run, as for `ClassifierModule`.
        more: Loss and parameter groups, likewise.
    """

    def __init__(
        self, network: nn.Module, path: str, head: nn.Linear, dropout: float, *recipe: Any, **more: Any
    ) -> None:
        super().__init__(nn.Sequential(nn.Dropout(dropout), head), *recipe, **more)
        # In a tuple: what does not train must not travel to checkpoints and devices with the module.
        self._whole = (network, path)
        self._threads = torch.get_num_threads()

    def on_fit_start(self) -> None:
        """Leaves a small head to one thread: several would wait for each other longer than they compute."""
        if sum(parameter.numel() for parameter in self.net.parameters()) <= _SMALL:
            torch.set_num_threads(1)

    def teardown(self, stage: str) -> None:
        """Gives the threads back."""
        torch.set_num_threads(self._threads)

    def delivered(self) -> Mapping[str, Tensor]:
        """The tensors of the whole network, with those of the head that are delivered."""
        network, path = self._whole
        trained = {name.replace("1.", f"{path}.", 1): tensor for name, tensor in super().delivered().items()}
        return {**network.state_dict(), **trained}
