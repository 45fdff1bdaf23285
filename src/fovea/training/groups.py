"""Parameter groups: which parameters are trained together, at what rate, with what decay, and from which epoch on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea.core.errors import UserError
from fovea.models import anatomy

if TYPE_CHECKING:
    from torch import nn

    from fovea.config.schema import FinetuneConfig, OptimizerConfig


def parameter_groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: weights of two or more dimensions with decay, biases and norm parameters without.

    Decaying biases and norms only hurts (He et al. 2019, arXiv:1812.01187, section 3.1).
    """
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay, "name": "weights"},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0, "name": "biases and norms"},
    ]
    return [group for group in groups if group["params"]]


@dataclass(frozen=True)
class _Part:
    name: str
    parameters: Collection[str]
    lr: float
    from_epoch: int = 1


def finetuning_groups(
    net: nn.Module, finetune: FinetuneConfig, optimizer: OptimizerConfig, reused: Collection[str]
) -> list[dict[str, Any]]:
    """The groups of a network of which some layers are reused; all of them from the first step on.

    The head and whatever else is new trains from the first epoch at `optimizer.lr`. The reused part of a block has
    `backbone_lr_factor` of it, times `layer_decay` for each block between it and the head (Howard and Ruder 2018,
    arXiv:1801.06146, section 3.2); with `gradual` it joins `unfreeze_every` epochs after the block nearer to the head
    (section 3.3). What is in no group is never trained.

    Args:
        net: The network as `fovea.models.registry.create` makes it.
        finetune: The `finetune` section.
        optimizer: The `optimizer` section.
        reused: Names of the parameters that hold loaded weights; those of the head count as new all the same.

    Returns:
        The head first, then the blocks from it to the picture. Each with `name`, `params`, `lr`, `weight_decay` (none
        on norms and biases) and `from_epoch`, counted from 1.

    Raises:
        UserError: Nothing would be trained.
    """
    if finetune.mode in ("from_scratch", "full"):
        return parameter_groups(net, optimizer.weight_decay)
    named = dict(net.named_parameters())
    groups: list[dict[str, Any]] = []
    for part in _parts(net, finetune, optimizer.lr, set(reused)):
        for suffix, decay, wanted in (("", optimizer.weight_decay, True), (" (no decay)", 0.0, False)):
            parameters = [named[name] for name in part.parameters if (named[name].ndim >= 2) == wanted]
            if parameters:
                groups.append(
                    {
                        "name": part.name + suffix,
                        "params": parameters,
                        "lr": part.lr,
                        "weight_decay": decay,
                        "from_epoch": part.from_epoch,
                    }
                )
    if not groups:
        raise UserError(
            f"finetune={finetune.mode} freezes every layer, so nothing would be trained; take finetune=full"
        )
    return groups


def _parts(net: nn.Module, finetune: FinetuneConfig, lr: float, reused: set[str]) -> Iterator[_Part]:
    heads, blocks = anatomy.heads(net), anatomy.blocks(net)
    yield _Part(
        "head", [f"{head}.{name}" for head in heads for name, _ in net.get_submodule(head).named_parameters()], lr
    )
    yield _Part("new layers", [name for block in blocks for name in block.parameters if name not in reused], lr)
    if finetune.mode == "head":
        return
    for distance, block in enumerate(reversed(blocks)):
        kept = [name for name in block.parameters if name in reused]
        rate = lr * finetune.backbone_lr_factor * finetune.layer_decay**distance
        joins = 1 + (distance + 1) * finetune.unfreeze_every if finetune.mode == "gradual" else 1
        yield _Part(block.name, kept, rate, joins)
