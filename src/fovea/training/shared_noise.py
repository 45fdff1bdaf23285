"""Dropout that several ranks draw as one process would: for the whole batch, of which each takes its rows."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from fovea.loading.sampler import Share

_BY_CHANNEL = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_BY_PICTURE = ("StochasticDepth", "DropPath")  # of torchvision and timm, known by name so that neither is imported


class Noise:
    """The random numbers of a step, the same on every rank.

    Args:
        share: What this rank has of every batch.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._seed = 0
        self._generators: dict[torch.device, torch.Generator] = {}

    def start(self, seed: int) -> None:
        """Begins a step."""
        self._seed = seed
        self._generators.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> Noise:
        """Copies of a network go on with the same numbers."""
        return self

    def rows_of(self, features: Tensor) -> int:
        """The rows of the features that belong to one picture; 0 where they are not in the order of pictures."""
        each, rest = divmod(len(features), self._share.rows)
        return 0 if rest else each

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def kept(self, features: Tensor, row: list[int] | None, part: float) -> Tensor:
        """Ones for what is kept and zeros elsewhere, to be multiplied with the features.

        Args:
            features: [R, ...], the rows of this rank.
            row: The shape of a row's numbers, of which those of length 1 hold for all; None: one number for all rows.
            part: How much is kept.
        """
        generator = self._generators.get(features.device)
        if generator is None:
            generator = torch.Generator(features.device).manual_seed(self._seed)
            self._generators[features.device] = generator
        if row is None:
            return features.new_empty([1] * features.dim()).bernoulli_(part, generator=generator)
        each = self.rows_of(features)
        whole = features.new_empty([self._share.batch * each, *row])
        if len(row) == 3 and not features.is_contiguous():
            whole = whole.contiguous(memory_format=torch.channels_last)  # numbers are drawn in the order of memory
        first = self._share.first * each
        return whole.bernoulli_(part, generator=generator)[first : first + len(features)]


def share_noise(network: nn.Module, share: Share) -> Noise:
    """Lets the dropouts of a network, and its stochastic depth, draw for the whole batch.

    Done in place, for layers; what a network drops by a function of torch stays each rank's own.

    Args:
        network: The same on every rank.
        share: What this rank has of every batch.

    Returns:
        The numbers, which must be told when a step begins.
    """
    noise = Noise(share)
    for module in network.modules():
        if isinstance(module, (nn.Dropout, *_BY_CHANNEL)) or type(module).__name__ in _BY_PICTURE:
            kind: Any = type(module)
            module.__class__ = kind if issubclass(kind, _Shared) else _shared_class(kind)
            cast(Any, module).noise = noise
    return noise


class _Shared(nn.Module):
    """A dropout over all ranks (Srivastava et al. 2014; stochastic depth: Huang et al. 2016, arXiv:1603.09382)."""

    noise: Noise

    def forward(self, features: Tensor) -> Tensor:
        """The features, of which some are zero and the others larger."""
        own = cast(Any, self)
        part = 1.0 - float(own.drop_prob if hasattr(own, "drop_prob") else own.p)
        if not self.training or part in (0.0, 1.0) or not self.noise.rows_of(features):
            plain: Tensor = super().forward(features)
            return plain
        kept: Tensor = self.noise.kept(features, _row(self, features), part)
        return features * (kept.div_(part) if getattr(own, "scale_by_keep", True) else kept)


def _row(module: nn.Module, features: Tensor) -> list[int] | None:
    """The shape of the numbers that a row needs; None where all rows are dropped together."""
    if getattr(module, "mode", "row") == "batch":
        return None
    if isinstance(module, nn.Dropout):
        return list(features.shape[1:])
    return [features.shape[1] if isinstance(module, _BY_CHANNEL) else 1, *[1] * (features.dim() - 2)]


@cache
def _shared_class(kind: Any) -> type[nn.Module]:
    return type(f"Shared{kind.__name__}", (_Shared, kind), {})
