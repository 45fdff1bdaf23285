from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fovea.config.compose import compose
from fovea.config.schema import AdadeltaConfig, AdamConfig, AdamWConfig, SgdConfig, TorchConfig
from fovea.core.errors import UserError
from fovea.training.assembly import assemble
from fovea.training.groups import parameter_groups
from fovea.training.job import TrainJob
from fovea.training.optimizers import build_optimizer, check_torch

CONF = Path(__file__).resolve().parents[2] / "conf"
UNSCALED: dict[str, Any] = {"lr_scaling": "none", "lr_base_batch": 256}


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def test_frozen_parameters_are_left_out() -> None:
    net = small_net()
    net[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(net, 0.0)) == 4


@pytest.mark.parametrize(
    ("config", "kind", "expected"),
    [
        (
            SgdConfig(name="sgd", lr=0.1, **UNSCALED, weight_decay=0.01, momentum=0.9, nesterov=True),
            torch.optim.SGD,
            {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        ),
        (
            AdamConfig(name="adam", lr=0.1, **UNSCALED, weight_decay=0.0, betas=[0.8, 0.99], eps=1e-7),
            torch.optim.Adam,
            {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-7},
        ),
        (
            AdamWConfig(name="adamw", lr=0.1, **UNSCALED, weight_decay=0.0, betas=[0.8, 0.99], eps=1e-7),
            torch.optim.AdamW,
            {"lr": 0.1, "betas": (0.8, 0.99)},
        ),
        (
            AdadeltaConfig(name="adadelta", lr=1.0, **UNSCALED, weight_decay=0.0, rho=0.9, eps=1e-6),
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


def torch_of(target: str, **changes: Any) -> TorchConfig:
    return TorchConfig(
        **{"name": "torch", "target": target, "lr": 0.1, **UNSCALED, "weight_decay": 0.0, "args": {}, **changes}
    )


@pytest.mark.parametrize("name", ["ASGD", "Adafactor", "Adagrad", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop"])
def test_any_optimiser_of_torch_trains_by_its_name(name: str) -> None:
    net = small_net()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = build_optimizer(parameter_groups(net, 0.0), torch_of(f"torch.optim.{name}"))
    net(torch.ones(2, 1, 4, 4)).square().sum().backward()
    optimizer.step()
    assert type(optimizer).__name__ == name
    assert not all(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


def test_arguments_reach_it_and_lists_become_pairs() -> None:
    config = torch_of("torch.optim.NAdam", args={"betas": [0.8, 0.9], "momentum_decay": 0.1}, weight_decay=0.3)
    groups = build_optimizer(parameter_groups(small_net(), 0.3), config).param_groups
    assert {key: groups[0][key] for key in ("lr", "betas", "momentum_decay", "weight_decay")} == {
        "lr": 0.1,
        "betas": (0.8, 0.9),
        "momentum_decay": 0.1,
        "weight_decay": 0.3,
    }
    assert groups[1]["weight_decay"] == 0.0


def test_a_group_keeps_a_rate_of_its_own() -> None:
    net = small_net()
    groups = [{"params": list(net[0].parameters()), "lr": 0.01}, {"params": list(net[3].parameters())}]
    for config in (
        torch_of("torch.optim.RAdam"),
        AdadeltaConfig(name="adadelta", lr=0.1, **UNSCALED, weight_decay=0.0, rho=0.9, eps=1e-6),
    ):
        assert [group["lr"] for group in build_optimizer(groups, config).param_groups] == [0.01, 0.1]
    assert "weight_decay" not in groups[0]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (torch_of("torch.optim.RMSProp"), r"torch\.optim has no optimiser 'RMSProp'; did you mean 'RMSprop'\?"),
        (torch_of("torch.optim.Optimizer"), r"torch\.optim has no optimiser 'Optimizer'"),
        (torch_of("torch.optim.lr_scheduler.StepLR"), r"torch\.optim has no optimiser 'lr_scheduler\.StepLR'"),
        (torch_of("torch.optim.LBFGS"), r"cannot train here: it computes the loss several times in a step"),
        (torch_of("torch.optim.SparseAdam"), r"cannot train here: it takes sparse gradients alone"),
        (torch_of("torch.optim.Muon"), r"cannot train here: it takes matrices alone"),
        (
            torch_of("torch.optim.RMSprop", args={"momentun": 0.9}),
            r"optimizer\.args\.momentun is no argument of torch\.optim\.RMSprop; did you mean 'momentum'\?",
        ),
        (torch_of("torch.optim.RMSprop", args={"x": 0.9}), r"is no argument of .*; known: alpha, capturable, centered"),
        (
            torch_of("torch.optim.RMSprop", args={"lr": 0.9}),
            r"optimizer\.args\.lr has a key of its own: set optimizer\.lr",
        ),
        (
            torch_of("torch.optim.RMSprop", args={"alpha": -1.0}),
            r"refuses optimizer\.args \{'alpha': -1\.0\}: Invalid alpha",
        ),
        (torch_of("torch.optim.Rprop", weight_decay=0.1), r"torch\.optim\.Rprop has no weight decay; set optimizer"),
    ],
)
def test_what_cannot_train_is_refused_before_there_is_a_network(config: TorchConfig, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_torch(config)


@pytest.mark.parametrize(("scaling", "rate"), [("none", 0.01), ("linear", 0.03), ("sqrt", 0.01 * 3**0.5)])
def test_the_rate_follows_the_pictures_of_a_step_and_not_the_processes(
    make_job: Any, scaling: str, rate: float
) -> None:
    trainer = {"accumulate_batches": 4, "devices": 8}
    optimizer = {"lr": 0.01, "lr_scaling": scaling, "lr_base_batch": 64}
    job = make_job(optimizer=optimizer, trainer=trainer, loader={"batch_size": 48})
    assert job.lr == pytest.approx(rate)
    assert job.lr == job.at_scaled_rate().lr == job.at_scaled_rate().optimizer.lr
    assert job.optimizer.lr == 0.01


def test_every_optimizer_is_scaled_once(make_job: Any, squares: Any) -> None:
    """Groups with a rate of their own and those without."""
    scaled = {"lr": 0.01, "lr_scaling": "linear", "lr_base_batch": 4}
    for optimizer in ("sgd", "adam", "adamw", "adadelta", "torch"):
        keys = compose(CONF, [f"optimizer={optimizer}"]).config["optimizer"]
        job = TrainJob.parse({**make_job().plain(), "optimizer": {**keys, **scaled}})
        module = assemble(job, squares).module
        built = build_optimizer(module.groups, module._optimizer)
        assert {group["lr"] for group in built.param_groups} == {0.04}
