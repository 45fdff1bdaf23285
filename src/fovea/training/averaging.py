"""Averages of the weights over steps. Validated and delivered are the averages; training goes on with the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fovea.config.schema import AveragingConfig
from fovea.training.module import ClassifierModule

_STATISTICS_BATCHES = 100


class Average:
    """An average of the tensors of a network, in float32 or their own higher precision.

    `ema`: after update n (counted from 0) the average keeps a part min(decay, (1 + n) / (10 + n)) of itself, so that
    the first weights are soon forgotten (Polyak and Juditsky 1992; the growing decay is that of TensorFlow's
    `ExponentialMovingAverage`). `swa`: the plain mean of all updates (Izmailov et al. 2018, arXiv:1803.05407).

    The first update is a copy. Whole numbers, such as the batches that a norm has counted, are copied each time.

    Args:
        kind: `ema` or `swa`.
        decay: Of the moving average.

    Attributes:
        updates: How often the average was updated.
        tensors: The average by the names of the network's `state_dict`; empty before the first update.
    """

    def __init__(self, kind: Literal["ema", "swa"], decay: float) -> None:
        self._kind = kind
        self._decay = decay
        self.updates = 0
        self.tensors: dict[str, Tensor] = {}

    def update(self, state: Mapping[str, Tensor]) -> None:
        """Takes the tensors of a network in."""
        if not self.updates:
            self.tensors = {name: _precise(tensor.detach()).clone() for name, tensor in state.items()}
        else:
            floating = [name for name, tensor in state.items() if tensor.is_floating_point()]
            means = [self.tensors[name] for name in floating]
            torch._foreach_lerp_(means, [_precise(state[name].detach()) for name in floating], self._part)
            for name in state.keys() - set(floating):
                self.tensors[name].copy_(state[name])
        self.updates += 1

    @property
    def _part(self) -> float:
        """What the next update weighs."""
        if self._kind == "swa":
            return 1 / (self.updates + 1)
        return 1 - min(self._decay, (1 + self.updates) / (10 + self.updates))


class Averaging(pl.Callback):
    """Keeps the average, and validates with it.

    Running statistics of batch norms are averaged with the weights by `ema`. Those of the `swa` mean are computed anew
    before each validation, as its activations are not the mean of the activations (Izmailov et al. 2018, section 3.2):
    over the first 100 batches of the run's first epoch, without dropout. Norms that are frozen keep theirs.

    Args:
        config: The `callbacks.averaging` section, of a kind that is not `none`.
        total_steps: Of the optimiser, in the whole run.
    """

    def __init__(self, config: AveragingConfig, total_steps: int) -> None:
        self._kind: Literal["ema", "swa"] = "swa" if config.kind == "swa" else "ema"
        self._start = config.start
        self._total = total_steps
        self._average = Average(self._kind, config.decay)
        self._step = 0
        self._own: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """The average, and the step of its last update."""
        return {"step": self._step, "updates": self._average.updates, "tensors": self._average.tensors}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the average of the checkpoint."""
        self._step = state_dict["step"]
        self._average.updates, self._average.tensors = state_dict["updates"], dict(state_dict["tensors"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts an average that was taken up where the network is."""
        tensors = {name: tensor.to(pl_module.device) for name, tensor in self._average.tensors.items()}
        self._average.tensors = tensors
        self._deliver(pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Updates a moving average after each step of the optimiser."""
        if self._kind == "swa" or trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        if self._step > self._start * self._total:
            self._average.update(cast(ClassifierModule, pl_module).net.state_dict())
            self._deliver(pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes the epoch's weights into the mean, and puts the average into the network."""
        module = cast(ClassifierModule, pl_module)
        is_due = trainer.current_epoch + 1 > self._start * cast(int, trainer.max_epochs)
        if self._kind == "swa" and is_due:
            self._average.update(module.net.state_dict())
            self._deliver(pl_module)
        if not self._average.updates:
            return
        self._own = {name: tensor.clone() for name, tensor in module.net.state_dict().items()}
        module.net.load_state_dict(self._average.tensors)
        if self._kind == "swa" and is_due:
            self._refresh_statistics(trainer, module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the network's own weights back."""
        if self._own:
            cast(ClassifierModule, pl_module).net.load_state_dict(self._own)
            self._own = {}

    def _deliver(self, pl_module: pl.LightningModule) -> None:
        if self._average.updates:
            cast(ClassifierModule, pl_module).averaged = self._average.tensors

    def _refresh_statistics(self, trainer: pl.Trainer, module: ClassifierModule) -> None:
        norms = {
            name: norm
            for name, norm in module.net.named_modules()
            if isinstance(norm, _BatchNorm) and norm.track_running_stats and not _is_frozen(norm)
        }
        if not norms:
            return
        loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]  # Lightning sets it in `fit`
        with torch.no_grad(), trainer.precision_plugin.forward_context(), _recounting(norms.values()):
            for batch in islice(loader, _STATISTICS_BATCHES):
                module.logits(module.transfer_batch_to_device(batch, module.device, 0))
        for place, norm in norms.items():
            for name, tensor in norm.named_buffers(place):
                self._average.tensors[name].copy_(tensor)


@contextmanager
def _recounting(norms: Iterable[_BatchNorm]) -> Iterator[None]:
    """Batch norms that count their statistics from nothing: the plain mean over the batches of the block."""
    before = [(norm, norm.training, norm.momentum) for norm in norms]
    for norm, *_ in before:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, training, momentum in before:
            norm.train(training)
            norm.momentum = momentum


def _is_frozen(norm: nn.Module) -> bool:
    parameters = list(norm.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _precise(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() and tensor.dtype.itemsize < 4 else tensor
