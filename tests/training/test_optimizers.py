from __future__ import annotations

import pytest
import torch
from torch import nn

from fovea.config.schema import AdadeltaConfig, AdamConfig, AdamWConfig, SgdConfig
from fovea.training.optimizers import build_optimizer, parameter_groups


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def test_biases_and_norms_do_not_decay() -> None:
    weights, others = parameter_groups(small_net(), weight_decay=0.1)
    assert [tuple(p.shape) for p in weights["params"]] == [(4, 1, 3, 3), (2, 16)]
    assert [tuple(p.shape) for p in others["params"]] == [(4,), (4,), (4,), (2,)]
    assert (weights["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_frozen_parameters_are_left_out() -> None:
    net = small_net()
    net[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(net, 0.0)) == 4


@pytest.mark.parametrize(
    ("config", "kind", "expected"),
    [
        (
            SgdConfig(name="sgd", lr=0.1, weight_decay=0.01, momentum=0.9, nesterov=True),
            torch.optim.SGD,
            {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        ),
        (
            AdamConfig(name="adam", lr=0.1, weight_decay=0.0, betas=[0.8, 0.99], eps=1e-7),
            torch.optim.Adam,
            {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-7},
        ),
        (
            AdamWConfig(name="adamw", lr=0.1, weight_decay=0.0, betas=[0.8, 0.99], eps=1e-7),
            torch.optim.AdamW,
            {"lr": 0.1, "betas": (0.8, 0.99)},
        ),
        (
            AdadeltaConfig(name="adadelta", lr=1.0, weight_decay=0.0, rho=0.9, eps=1e-6),
            torch.optim.Adadelta,
            {"lr": 1.0, "rho": 0.9},
        ),
    ],
)
def test_optimizers_take_their_values_from_the_config(
    config: SgdConfig, kind: type[torch.optim.Optimizer], expected: dict[str, object]
) -> None:
    optimizer = build_optimizer(parameter_groups(small_net(), 0.0), config)
    assert type(optimizer) is kind
    assert {key: optimizer.param_groups[0][key] for key in expected} == expected
