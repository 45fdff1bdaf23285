"""Optimisers and their parameter groups."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fovea.config.schema import OptimizerConfig

_CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adadelta": torch.optim.Adadelta,
}


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


def build_optimizer(net: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimiser that the config names, over `parameter_groups` of the network."""
    arguments = config.model_dump(exclude={"name", "weight_decay"})
    if "betas" in arguments:
        arguments["betas"] = tuple(arguments["betas"])
    return _CLASSES[config.name](parameter_groups(net, config.weight_decay), **arguments)
