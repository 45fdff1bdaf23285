from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from fovea.config.schema import FinetuneConfig
from fovea.models.deep_mnist import DeepMnist
from fovea.training.groups import finetuning_groups, parameter_groups
from fovea.training.job import TrainJob

MakeJob = Callable[..., TrainJob]


def mode(name: str, **changes: Any) -> FinetuneConfig:
    values = {"backbone_lr_factor": 0.1, "layer_decay": 1.0, "unfreeze_every": 1, "cache_features": False, "views": 1}
    return FinetuneConfig.model_validate({"mode": name, **values, **changes})


@pytest.fixture
def net() -> DeepMnist:
    return DeepMnist(1, 10, 12)


def groups_of(net: nn.Module, make_job: MakeJob, finetune: FinetuneConfig, new: tuple[str, ...] = ()) -> dict[str, Any]:
    reused = [name for name, _ in net.named_parameters() if not name.startswith(new or ("classifier.4",))]
    optimizer = make_job(optimizer={"lr": 0.01, "weight_decay": 0.05}).optimizer
    return {group["name"]: group for group in finetuning_groups(net, finetune, optimizer, reused)}


def names(net: nn.Module, groups: dict[str, Any]) -> set[str]:
    chosen = {id(parameter) for group in groups.values() for parameter in group["params"]}
    return {name for name, parameter in net.named_parameters() if id(parameter) in chosen}


def test_biases_and_norms_do_not_decay() -> None:
    small = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    weights, others = parameter_groups(small, weight_decay=0.1)
    assert [tuple(p.shape) for p in weights["params"]] == [(4, 1, 3, 3), (2, 16)]
    assert [tuple(p.shape) for p in others["params"]] == [(4,), (4,), (4,), (2,)]
    assert (weights["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_head_trains_the_last_layer_alone(net: DeepMnist, make_job: MakeJob) -> None:
    groups = groups_of(net, make_job, mode("head"))
    assert list(groups) == ["head", "head (no decay)"]
    assert names(net, groups) == {"classifier.4.weight", "classifier.4.bias"}
    assert groups["head"] | {"params": 0} == {
        "name": "head",
        "params": 0,
        "lr": 0.01,
        "weight_decay": 0.05,
        "from_epoch": 1,
    }
    assert groups["head (no decay)"]["weight_decay"] == 0.0


def test_a_head_that_was_loaded_too_is_trained_all_the_same(net: DeepMnist, make_job: MakeJob) -> None:
    groups = groups_of(net, make_job, mode("head"), new=("nothing",))
    assert names(net, groups) == {"classifier.4.weight", "classifier.4.bias"}


def test_new_layers_of_the_body_train_from_the_beginning_in_every_mode(net: DeepMnist, make_job: MakeJob) -> None:
    for name in ("head", "discriminative", "gradual"):
        groups = groups_of(net, make_job, mode(name), new=("features.0.", "classifier.4"))
        assert (groups["new layers"]["lr"], groups["new layers"]["from_epoch"]) == (0.01, 1)
        assert groups["new layers"]["params"] == [net.features[0].weight]


def test_discriminative_rates_fall_from_block_to_block_towards_the_picture(net: DeepMnist, make_job: MakeJob) -> None:
    groups = groups_of(net, make_job, mode("discriminative", layer_decay=0.5))
    rates = {name: group["lr"] for name, group in groups.items() if "(no decay)" not in name}
    assert rates == pytest.approx(
        {"head": 0.01, "classifier": 0.001, "features.10": 5e-4, "features.5": 2.5e-4, "stem": 1.25e-4}
    )
    assert list(rates) == ["head", "classifier", "features.10", "features.5", "stem"]
    assert names(net, groups) == {name for name, _ in net.named_parameters()}
    assert {group["from_epoch"] for group in groups.values()} == {1}


def test_gradual_lets_a_block_join_every_so_many_epochs(net: DeepMnist, make_job: MakeJob) -> None:
    groups = groups_of(net, make_job, mode("gradual", unfreeze_every=2))
    joins = {name: group["from_epoch"] for name, group in groups.items() if "(no decay)" not in name}
    assert joins == {"head": 1, "classifier": 3, "features.10": 5, "features.5": 7, "stem": 9}


@pytest.mark.parametrize("name", ["from_scratch", "full"])
def test_everything_alike_is_two_groups_at_the_configured_rate(name: str, net: DeepMnist, make_job: MakeJob) -> None:
    groups = groups_of(net, make_job, mode(name))
    assert list(groups) == ["weights", "biases and norms"]
    assert all("lr" not in group for group in groups.values())
    assert sum(p.numel() for group in groups.values() for p in group["params"]) == sum(
        p.numel() for p in net.parameters()
    )
