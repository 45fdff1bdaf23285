from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fovea.config.compose import compose
from fovea.config.groups import groups
from fovea.config.schema import (
    AdamConfig,
    Config,
    DataConfig,
    MixConfig,
    OneCycleConfig,
    OptimizerConfig,
    ScheduleConfig,
    SgdConfig,
    StepConfig,
    TrainerConfig,
    parse,
)
from fovea.core.errors import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"
MEMBERS = [f"{group}={member}" for group, members in groups(CONF).items() for member in members]


@pytest.mark.parametrize("choice", MEMBERS)
def test_every_member_of_every_group_is_valid(conf: Path, choice: str) -> None:
    composition = compose(conf, [choice])
    config = parse(Config, composition.config, "")
    group, _, member = choice.partition("=")
    assert composition.choices[group] == member
    if config.data.classes is not None:
        assert config.data.num_classes == len(config.data.classes)


def test_the_default_is_what_the_files_say(conf: Path) -> None:
    config = parse(Config, compose(conf).config, "")
    assert config.seed == 0
    assert config.data.name == "digits"
    assert config.data.classes == list("0123456789")
    assert (config.data.mirrors, config.data.files) == ([], {})
    assert config.model.name == "lenet5"
    assert config.optimizer == AdamConfig(
        name="adam",
        lr=0.002,
        lr_scaling="none",
        lr_base_batch=256,
        weight_decay=0.0,
        betas=[0.9, 0.999],
        eps=1e-8,
    )
    assert config.schedule == OneCycleConfig(name="one_cycle", peak_at=0.3, start_factor=0.1, end_factor=0.001)
    assert config.trainer.precision == "32"
    assert config.callbacks.checkpoint.keep == "best"


def test_files_of_a_source_are_typed(conf: Path) -> None:
    data = parse(DataConfig, compose(conf, ["data=mnist"]).config["data"], "data")
    assert data.files["test_labels"].name == "t10k-labels-idx1-ubyte.gz"
    assert data.files["test_labels"].bytes == 4542
    assert data.mirrors[0].startswith("https://")


def test_the_name_decides_which_optimizer_and_schedule() -> None:
    rate = {"lr": 1, "lr_scaling": "linear", "lr_base_batch": 256}
    sgd = {"name": "sgd", **rate, "weight_decay": 0.0, "momentum": 0.9, "nesterov": True}
    step = {"name": "step", "warmup_epochs": 0.0, "every_epochs": 1, "gamma": 0.7}
    optimizer = parse(OptimizerConfig, sgd, "optimizer")
    assert isinstance(optimizer, SgdConfig)
    assert isinstance(optimizer.lr, float)
    assert isinstance(parse(ScheduleConfig, step, "schedule"), StepConfig)


def test_precision_may_come_as_a_number_from_a_command_line(conf: Path) -> None:
    raw: dict[str, Any] = compose(conf, ["trainer.precision=16"]).config["trainer"]
    assert raw["precision"] == 16
    assert parse(TrainerConfig, raw, "trainer").precision == "16"


def test_a_section_is_never_changed() -> None:
    step = StepConfig(name="step", warmup_epochs=0.0, every_epochs=1, gamma=0.7)
    with pytest.raises(ValidationError, match="frozen"):
        step.gamma = 0.5  # type: ignore[misc]


def test_classes_may_be_left_to_the_source(conf: Path) -> None:
    raw = {**compose(conf).config["data"], "classes": None}
    data = parse(DataConfig, raw, "data")
    assert data.classes is None
    with pytest.raises(UserError, match=r"data\.classes of 'digits' follow from the pictures"):
        _ = data.num_classes


@pytest.mark.parametrize(
    ("mixup", "cutmix", "prob", "is_on"),
    [(0.0, 0.0, 1.0, False), (0.2, 0.0, 1.0, True), (0.0, 1.0, 0.5, True), (0.2, 1.0, 0.0, False)],
)
def test_mixing_is_on_where_something_can_be_mixed(mixup: float, cutmix: float, prob: float, is_on: bool) -> None:
    mix = {"mixup_alpha": mixup, "cutmix_alpha": cutmix, "prob": prob, "switch_prob": 0.5}
    assert parse(MixConfig, mix, "augment.mix").is_on is is_on
