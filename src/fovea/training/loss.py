"""What training makes small: the loss of a batch, from its logits, its labels and what they are mixed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed
from torch.nn import functional

from fovea.loading.sampler import Share

if TYPE_CHECKING:
    from fovea.augment import Mix
    from fovea.config.schema import LossConfig

_WHOLE = Share()


class Loss:
    """The loss that the config names, as a pure function of a batch.

    A picture of class c counts as often as the weight of c says, and the mean is taken over what is counted. Mixed
    pictures count both labels by their shares (Zhang et al. 2018, arXiv:1710.09412, section 2).

    Where several ranks share a batch, the mean over the ranks of their losses is the loss of the whole batch, and so
    for the gradients: a rank's sum is divided by its part of what all of them count. That is known beforehand, except
    with weights of classes, where the ranks tell each other what they count.

    Args:
        config: The `loss` section.
        weights: The weight of each class's pictures; None: all alike.
        share: What this rank has of every batch.

    Attributes:
        share: As given.
    """

    def __init__(self, config: LossConfig, weights: Sequence[float] | None = None, share: Share = _WHOLE) -> None:
        self._config = config
        self._weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        self.share = share

    def __call__(self, logits: Tensor, labels: Tensor, mix: Mix | None = None, teacher: Tensor | None = None) -> Tensor:
        """The mean loss of a batch, scalar, in float32 or the logits' own higher precision; of a share, see above.

        Args:
            logits: [B, K].
            labels: int64 [B].
            mix: What the pictures are mixed with; None: with nothing.
            teacher: The teacher's logits of the same pictures, [B, K]; None: there is no teacher.
        """
        logits = logits.float() if logits.dtype.itemsize < 4 else logits
        rows = self._rows(logits, labels)
        counted = self._counted(labels, logits)
        if mix is not None:
            share = mix.share.to(logits.dtype)
            other = labels[mix.partner]
            own_part, other_part = share * counted, (1 - share) * self._counted(other, logits)
            counted = own_part + other_part
            rows = (own_part * rows + other_part * self._rows(logits, other)) / counted
        if teacher is not None:
            distill = self._config.distill
            soft = distillation(logits, teacher.to(logits.dtype), distill.temperature)
            rows = distill.weight * soft + (1 - distill.weight) * rows
        if self._weights is None:
            return rows.mean() if self.share.weight == 1 else rows.mean() * self.share.weight
        return (counted * rows).sum() / self._mean_over_ranks(torch.as_tensor(counted).sum())

    def _rows(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each picture, [B]."""
        smoothing = self._config.label_smoothing
        if self._config.name == "cross_entropy":
            return functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
        targets = smoothed(labels, logits.shape[1], smoothing).to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)

    def _counted(self, labels: Tensor, logits: Tensor) -> Tensor | float:
        """How often each picture counts, [B]; 1 where all count alike."""
        if self._weights is None:
            return 1.0
        self._weights = self._weights.to(logits.device, logits.dtype)
        return self._weights[labels]

    def _mean_over_ranks(self, total: Tensor) -> Tensor:
        if self.share.world_size == 1:
            return total
        distributed.all_reduce(total)
        return total / self.share.world_size


def smoothed(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Targets [B, classes] of which a part `smoothing` is spread over all classes (Szegedy et al. 2016, section 7)."""
    return functional.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 times the divergence of the softened student from the softened teacher, [B].

    The factor keeps the gradient's size the same at every temperature (Hinton, Vinyals and Dean 2015, arXiv:1503.02531,
    section 2).

    Args:
        student: Logits [B, K].
        teacher: Logits [B, K].
        temperature: Both are divided by it.
    """
    soft = functional.log_softmax(student / temperature, dim=1)
    target = functional.log_softmax(teacher / temperature, dim=1)
    return functional.kl_div(soft, target, reduction="none", log_target=True).sum(1) * temperature**2
