"""Optimisers: those with a section of their own, and any other of `torch.optim` by its name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fovea.config.schema import OptimizerConfig, TorchConfig
from fovea.core.errors import UserError, nearest

_CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adadelta": torch.optim.Adadelta,
}
_UNFIT = {
    "LBFGS": "computes the loss several times in a step, and training here computes it once",
    "SparseAdam": "takes sparse gradients alone, and those of pictures are dense",
    "Muon": "takes matrices alone, and networks have convolutions and biases too",
}
_OWN_KEYS = ("lr", "weight_decay")


def build_optimizer(groups: Sequence[Mapping[str, Any]], config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimiser that the config names.

    Args:
        groups: Parameter groups as torch takes them; one with an `lr` of its own keeps it, the others get the config's.
        config: The `optimizer` section.

    Raises:
        UserError: `torch.optim` has no such optimiser, it does not suit, or it refuses its arguments.
    """
    arguments = config.model_dump(exclude={"name", "lr_scaling", "lr_base_batch", "weight_decay", "target", "args"})
    if isinstance(config, TorchConfig):
        return _build_torch(groups, config, arguments)
    return _CLASSES[config.name]([dict(group) for group in groups], **_tuples(arguments))


def check_torch(config: TorchConfig) -> None:
    """Refuses what `build_optimizer` would refuse of `torch.optim`, before there is a network.

    Raises:
        UserError: As `build_optimizer`.
    """
    build_optimizer([{"params": [nn.Parameter(torch.zeros(1, 1))], "weight_decay": config.weight_decay}], config)


def _build_torch(
    groups: Sequence[Mapping[str, Any]], config: TorchConfig, arguments: dict[str, Any]
) -> torch.optim.Optimizer:
    kind = _torch_class(config)
    known = [name for name in inspect.signature(kind).parameters if name not in ("params", *_OWN_KEYS)]
    for name in config.args:
        if name in _OWN_KEYS:
            raise UserError(f"optimizer.args.{name} has a key of its own: set optimizer.{name}")
        if name not in known:
            hint = nearest(name, known)
            raise UserError(f"optimizer.args.{name} is no argument of {config.target}{hint}")
    decays = "weight_decay" in inspect.signature(kind).parameters
    if config.weight_decay and not decays:
        raise UserError(f"{config.target} has no weight decay; set optimizer.weight_decay=0")
    try:
        return kind([dict(group) for group in groups], **arguments, **_tuples(config.args))
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{config.target} refuses optimizer.args {config.args}: {error}") from None


def _torch_class(config: TorchConfig) -> type[torch.optim.Optimizer]:
    name = config.target.removeprefix("torch.optim.")
    known = {
        key: value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    if name in _UNFIT:
        raise UserError(f"{config.target} cannot train here: it {_UNFIT[name]}; choose another optimizer.target")
    if name not in known:
        hint = nearest(name, [key for key in known if key not in _UNFIT])
        raise UserError(f"torch.optim has no optimiser '{name}'{hint}")
    return known[name]


def _tuples(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """YAML knows lists where torch wants pairs."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
