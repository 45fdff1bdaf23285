"""Which layers are frozen, as a function of the epoch alone, so that a resumed run freezes what the first one did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from torch import nn

from fovea.models import anatomy


class Freezing(pl.Callback):
    """Lets every parameter group train from its epoch on.

    Until then, and for good where a parameter is in no group, parameters get no gradient and so neither decay nor
    momentum, the batch norms in front of them keep their statistics, and frozen layers drop nothing out.

    Args:
        net: The network in training.
        groups: Its parameter groups, each with the parameters `params` and, if not the first, an epoch `from_epoch`.
    """

    def __init__(self, net: nn.Module, groups: Sequence[Mapping[str, Any]]) -> None:
        self._net = net
        joins = {id(one): int(group.get("from_epoch", 1)) for group in groups for one in group["params"]}
        self._joins = {name: joins.get(id(parameter)) for name, parameter in net.named_parameters()}

    @property
    def is_needed(self) -> bool:
        """Whether any parameter is frozen at any time."""
        return any(epoch != 1 for epoch in self._joins.values())

    @property
    def has_late(self) -> bool:
        """Whether parameters join after the first epoch."""
        return any(epoch is not None and epoch > 1 for epoch in self._joins.values())

    def let_join(self) -> None:
        """Lets all parameters that are ever trained ask for a gradient, so that processes come to share all of them.

        torch's DDP looks once, when it begins (https://github.com/pytorch/pytorch/issues/22049).
        """
        for name, parameter in self._net.named_parameters():
            parameter.requires_grad_(self._joins[name] is not None)

    def freeze(self, epoch: int) -> None:
        """Brings the network into the state of an epoch, counted from 1."""
        trained = {name for name, joins in self._joins.items() if joins is not None and joins <= epoch}
        for name, parameter in self._net.named_parameters():
            parameter.requires_grad_(name in trained)
        for module, mode in anatomy.trains(self._net, trained):
            module.training = mode

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Also when an epoch goes on after a resume, which does not start it anew."""
        self.freeze(trainer.current_epoch + 1)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lets the blocks join whose epoch it is."""
        self.freeze(trainer.current_epoch + 1)
