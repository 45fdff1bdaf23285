from __future__ import annotations

from pathlib import Path

import pytest

from fovea.config.compose import compose
from fovea.config.groups import groups
from fovea.core.errors import UserError


def _refused(conf: Path, *lines: str) -> str:
    with pytest.raises(UserError) as caught:
        compose(conf, list(lines))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("modle=x", "unknown group or key 'modle'; did you mean 'model'?"),
        ("model=lenet6", "unknown model 'lenet6'; did you mean 'lenet5'?"),
        ("experiment=mnist_fst", "unknown experiment 'mnist_fst'; did you mean 'mnist_fast'?"),
        ("trainer=5", "unknown trainer '5'; known: ddp, default"),
        ("trainer.max_epoch=3", "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"),
        ("triner.max_epochs=3", "unknown key 'triner.max_epochs' = 3; did you mean 'trainer'?"),
        (
            "optimizer.momentum=0.3",
            "unknown key 'optimizer.momentum' = 0.3; known: betas, eps, lr, lr_base_batch, lr_scaling, name, "
            "weight_decay",
        ),
        (
            "seed.x=3",
            "unknown key 'seed.x' = 3; there are no keys in what stands before 'x'",
        ),
        (
            "~model.dropot",
            "'model.dropot' cannot be taken out, as it is not there; did you mean 'dropout'?",
        ),
        ("+model=lenet5", "override '+model=lenet5' has a sign too many; write model=lenet5"),
        (
            "model@here=lenet5",
            "override 'model@here=lenet5' moves a group to another place; write model=MEMBER without '@'",
        ),
        (
            "optimizer.name=sgd",
            "override 'optimizer.name=sgd' changes the name alone; choose the member: optimizer=sgd",
        ),
        (
            "hydra.run.dir=x",
            "override 'hydra.run.dir=x' is a setting of Hydra's launcher, which is not used here; leave it out",
        ),
        (
            "train",
            "override 'train' has no value; write key=value, as in optimizer.lr=0.01 or model=lenet5 "
            "(a pipeline is run by --pipelines=NAME)",
        ),
        ("=3", "override '=3' names no key; write key=value, as in optimizer.lr=0.01 or model=lenet5"),
        (
            "data.mean=[1",
            "override 'data.mean=[1' cannot be read; write key=value, as in optimizer.lr=0.01 or model=lenet5, "
            "and quote what is not plain: key='\"a, b\"'",
        ),
        (
            "seed=${prepare.sed}",
            "'seed' holds a reference that leads nowhere: Interpolation key 'prepare.sed' not found",
        ),
        (
            "tracking.uri=???",
            "'tracking.uri' has no value (???); set it in conf/ or as an override: tracking.uri=VALUE",
        ),
    ],
)
def test_one_sentence(conf: Path, line: str, sentence: str) -> None:
    assert _refused(conf, line) == sentence


@pytest.mark.parametrize(
    "line", ["optimizer.lr=1e-2,1e-3", "model=lenet5,deep_mnist", "seed=range(0,3)", "model=glob(*)"]
)
def test_a_sweep_is_sent_to_dvc(conf: Path, line: str) -> None:
    sentence = _refused(conf, line)
    assert sentence.startswith(f"'{line}' gives several values and one run takes one; queue a run for each: ")
    assert "dvc exp run --queue -S " in sentence
    assert line in sentence


def test_the_first_wrong_key_of_several_is_named(conf: Path) -> None:
    lines = ["optimizer=sgd", "optimizer.momentum=0.8", "trainer.max_epoch=3", "seeed=1"]
    assert _refused(conf, *lines) == "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"


def test_a_layer_is_no_group(conf: Path) -> None:
    (conf / "prod").mkdir()
    (conf / "prod" / "overrides.yaml").write_text("seed: 1\n")
    for name in ("local", "prod"):
        sentence = _refused(conf, f"{name}=overrides")
        assert sentence.startswith(f"unknown group or key '{name}'; ")


def test_all_members_are_listed_when_none_is_near(conf: Path) -> None:
    known = ", ".join(groups(conf)["model"])
    assert _refused(conf, "model=yolo") == f"unknown model 'yolo'; known: {known}"
