"""Batch norms that see the whole batch of which each rank has a share, on processors as on GPUs."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fovea.core.errors import UserError

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def synchronised(network: nn.Module) -> nn.Module:
    """Lets every batch norm of a network take mean and variance over all ranks while it trains.

    Done in place: layers, tensors and their names stay as they are, so weights and checkpoints fit with and without.
    In evaluation, and where a norm is frozen, nothing is exchanged. On GPUs torch's own kernels do it.

    Args:
        network: The same on every rank; each must call it equally often.

    Returns:
        The same network.

    Raises:
        UserError: A batch norm does something of its own that would be lost.
    """
    for name, module in network.named_modules():
        if not isinstance(module, _BatchNorm) or isinstance(module, _Synchronised):
            continue
        if type(module) not in _PLAIN and not _acts(module):
            raise UserError(
                f"trainer.sync_batch_norm cannot synchronise '{name}' ({type(module).__name__}) of this network; set "
                "it to false"
            )
        kind: Any = type(module)
        module.__class__ = _synchronised_class(kind)
    return network


class _Synchronised(_BatchNorm):
    """A batch norm over all ranks (Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1, on the whole batch)."""

    process_group = None  # all ranks: torch's own class looks for it

    def forward(self, features: Tensor) -> Tensor:
        """The normalised features [B, C, ...], and what the layer does after it."""
        result = self._normalised(features)
        return cast(Any, self).act(cast(Any, self).drop(result)) if _acts(self) else result

    def _normalised(self, features: Tensor) -> Tensor:
        if features.is_cuda or not (self.training and distributed.is_initialized()):
            return nn.SyncBatchNorm.forward(cast(nn.SyncBatchNorm, self), features)
        self._check_input_dim(features)  # type: ignore[no-untyped-call]
        result: Tensor
        result, mean, var, count = _normalise(features, self.weight, self.bias, self.eps)
        self._keep(mean, var * (count / (count - 1)))
        return result

    def _check_non_zero_input_channels(self, features: Tensor) -> None:
        """Asked for by torch's class: there is no layer without channels here."""

    def _keep(self, mean: Tensor, unbiased: Tensor) -> None:
        """Moves the running statistics as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, new in ((self.running_mean, mean), (self.running_var, unbiased)):
            running.lerp_(new.to(running.dtype), momentum)


class _Normalise(torch.autograd.Function):
    """Normalises by the moments of the whole batch; its gradient takes the whole batch into account as well."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        """The result [B, C, ...], mean and variance [C] and their count, scalar, over all ranks."""
        mean, var, count = _moments(features)
        ctx.save_for_backward(features, weight, mean, var, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, count)
        weight, bias = weight.to(mean.dtype), bias.to(mean.dtype)
        return functional.batch_norm(features, mean, var, weight, bias, False, 0.0, eps), mean, var, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Of the features by all ranks' sums; of weight and bias this rank's part, which DDP averages."""
        features, weight, mean, var, count = ctx.saved_tensors
        shape = (1, -1, *[1] * (features.dim() - 2))
        dims = [0, *range(2, features.dim())]
        scale = torch.rsqrt(var + ctx.eps)
        centred = (features.to(mean.dtype) - mean.view(shape)) * scale.view(shape)
        grad = grad.to(mean.dtype)
        sums = torch.stack([grad.sum(dims), (grad * centred).sum(dims)])
        own_bias, own_weight = sums.to(weight.dtype, copy=True).unbind()
        if not ctx.needs_input_grad[0]:
            return None, own_weight, own_bias, None
        distributed.all_reduce(sums)
        level, slope = (sums / count).unbind()
        result = (grad - level.view(shape) - centred * slope.view(shape)) * (scale * weight).view(shape)
        return result.to(features.dtype), own_weight, own_bias, None


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _normalise(features: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
    weight = features.new_ones(features.shape[1]) if weight is None else weight
    bias = features.new_zeros(features.shape[1]) if bias is None else bias
    return cast(tuple[Tensor, ...], _Normalise.apply(features, weight, bias, eps))


def _moments(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance [C] over all ranks, in at least 32 bits, and the values of a channel that there are.

    Those of the ranks are put together as Chan, Golub and LeVeque (1979) do, which cancels no digits.
    """
    values = features.float() if features.dtype.itemsize < 4 else features
    var, mean = torch.var_mean(values, [0, *range(2, features.dim())], correction=0)
    own = torch.cat([mean, var, mean.new_tensor([values.numel() / values.shape[1]])])
    every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(every, own)
    means, variances, counts = torch.split(torch.stack(every), [len(mean), len(mean), 1], dim=1)
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    var = (counts * (variances + (means - mean).square())).sum(0) / count
    return mean, var, count


def _acts(module: nn.Module) -> bool:
    """Whether it is one of timm's layers that drop out and activate what they normalised."""
    return isinstance(getattr(module, "drop", None), nn.Module) and isinstance(getattr(module, "act", None), nn.Module)


@cache
def _synchronised_class(kind: Any) -> type[_BatchNorm]:
    return type(f"Synchronised{kind.__name__}", (_Synchronised, kind), {})
