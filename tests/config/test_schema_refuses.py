from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from fovea.config.compose import compose
from fovea.config.schema import Config, ConfigError, OptimizerConfig, TrainerConfig, parse

CONF = Path(__file__).resolve().parents[2] / "conf"
GONE = object()


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    return compose(CONF, ["data=mnist"]).config


def _sentence(raw: dict[str, Any], key: str, value: Any) -> ConfigError:
    changed = copy.deepcopy(raw)
    *sections, last = key.split(".")
    section = changed
    for name in sections:
        section = section[name]
    if value is GONE:
        del section[last]
    else:
        section[last] = value
    with pytest.raises(ConfigError) as caught:
        parse(Config, changed, "")
    return caught.value


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("trainer.max_epoch", 3, "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"),
        ("modle", {}, "unknown key 'modle' = {}; did you mean 'model'?"),
        ("data.files.test_labels.nme", 1, "unknown key 'data.files.test_labels.nme' = 1; did you mean 'name'?"),
        (
            "optimizer.momentum",
            0.9,
            "unknown key 'optimizer.momentum' = 0.9; known: betas, eps, lr, lr_base_batch, lr_scaling, name, "
            "weight_decay",
        ),
        ("seed", GONE, "'seed' has no value; set it in conf/ or as an override: seed=VALUE"),
        ("optimizer.lr", GONE, "'optimizer.lr' has no value; set it in conf/ or as an override: optimizer.lr=VALUE"),
        (
            "schedule.name",
            GONE,
            "'schedule.name' has no value; set it in conf/ or as an override: schedule.name=VALUE",
        ),
        ("optimizer.name", "sdg", "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ("optimizer.name", "rmsprop", "unknown optimizer 'rmsprop'; known: adadelta, adam, adamw, sgd, torch"),
        (
            "callbacks.checkpoint.keep",
            "bst",
            "'callbacks.checkpoint.keep' = 'bst' is wrong: it must be 'best' or 'last'; did you mean 'best'?",
        ),
        (
            "finetune.mode",
            "some",
            "'finetune.mode' = 'some' is wrong: "
            "it must be 'from_scratch', 'head', 'discriminative', 'gradual' or 'full'",
        ),
    ],
)
def test_names(raw: dict[str, Any], key: str, value: Any, sentence: str) -> None:
    assert str(_sentence(raw, key, value)) == sentence


@pytest.mark.parametrize(
    ("key", "value", "shown", "expected"),
    [
        ("trainer.max_epochs", "three", "'three'", "a whole number"),
        ("trainer.max_epochs", 3.5, "3.5", "a whole number"),
        ("trainer.max_epochs", True, "true", "a whole number"),
        ("trainer.max_epochs", None, "null", "a whole number"),
        ("trainer.max_epochs", 0, "0", "at least 1"),
        ("seed", 10**18, "1000000000000000000", "less than 1e+18"),
        ("trainer.deterministic", "yes", "'yes'", "true or false"),
        ("trainer.devices", 0, "0", "a whole number from 1, or auto"),
        ("trainer.precision", 8, "'8'", "'32', 'bf16', '16', '64', 'bf16-true' or '16-true'"),
        ("trainer.gradient_clip_norm", 0, "0", "a number greater than 0"),
        ("optimizer.lr", 0, "0", "a number greater than 0"),
        ("optimizer.lr", float("nan"), "nan", "a finite number"),
        ("optimizer.lr", "1e-3", "'1e-3'", "a number"),
        ("optimizer.betas", [0.9], "[0.9]", "a list of at least 2"),
        ("optimizer.betas", [0.9, 0.99, 0.999], "[0.9, 0.99, 0.999]", "a list of at most 2"),
        ("model.dropout", 1.0, "1.0", "less than 1"),
        ("model.dropout", -0.1, "-0.1", "at least 0"),
        ("prepare.test_fraction", 1.0, "1.0", "less than 1"),
        ("prepare.near_distance", 9, "9", "at most 8"),
        ("prepare.max_bad_fraction", 1.5, "1.5", "at most 1"),
        ("prepare.quality", 101, "101", "at most 100"),
        ("prepare.duplicates", "drop", "'drop'", "'leave_out' or 'keep'"),
        ("loader.sampling", "weighted", "'weighted'", "'shuffle' or 'balanced'"),
        ("loader.num_workers", -1, "-1", "a whole number, at least 0, or 'auto'"),
        ("loader.num_workers", "all", "'all'", "a whole number, at least 0, or 'auto'"),
        ("augment.mix.prob", 2, "2", "at most 1"),
        ("evaluate.confidence", 0, "0", "a number greater than 0"),
        ("schedule.peak_at", 1, "1", "less than 1"),
        ("schedule.end_factor", 1.5, "1.5", "at most 1"),
        ("data.mean", [0.1, 0.2], "[0.1, 0.2]", "1 number, as there is 1 channel"),
        ("data.channels", 0, "0", "at least 1"),
        ("data.classes", ["a"], "['a']", "a list of at least 2"),
        ("data.classes", ["a", "b", "a"], "['a', 'b', 'a']", "names that differ, but 'a' is there twice"),
        ("data.name", "../mnist", "'../mnist'", "a name of letters, digits, '.', '_' and '-'"),
        (
            "data.mirrors",
            "https://one.example",
            "'https://one.example'",
            "a list",
        ),
        ("tracking.experiment", "", "''", "text that is not empty"),
        ("tracking", "local", "'local'", "a group of keys"),
        ("trainer", None, "null", "a group of keys"),
        (
            "augment.train",
            [{"p": 1}],
            "[{'p': 1}]",
            "transforms that each name their `_target_`, as in albumentations.HorizontalFlip",
        ),
    ],
)
def test_values(raw: dict[str, Any], key: str, value: Any, shown: str, expected: str) -> None:
    error = _sentence(raw, key, value)
    assert str(error) == f"'{key}' = {shown} is wrong: it must be {expected}"
    assert error.key == key
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (
            "data.classes",
            [0, 1],
            "'data.classes[0]' = 0 is wrong: it must be text (in quotes, if it looks like a number)",
        ),
        (
            "data.mirrors",
            ["ftp://one.example"],
            "'data.mirrors[0]' = 'ftp://one.example' is wrong: "
            "it must be an address that begins with http://, https:// or file://",
        ),
        ("data.std", [0], "'data.std[0]' = 0 is wrong: it must be a number greater than 0"),
        ("optimizer.betas", [0.9, 1.0], "'optimizer.betas[1]' = 1.0 is wrong: it must be less than 1"),
        (
            "data.files",
            {"train": {"name": "a/b"}},
            "'data.files.train.name' = 'a/b' is wrong: it must be a name of letters, digits, '.', '_' and '-'",
        ),
        (
            "data.wnids",
            ["n01440764", "tench"],
            "'data.wnids[1]' = 'tench' is wrong: it must be a WordNet id, as in n01440764",
        ),
        (
            "data.files",
            {"train": {"name": "a", "sha256": "x"}},
            "'data.files.train.sha256' = 'x' is wrong: it must be 64 hexadecimal digits",
        ),
        (
            "data.files",
            {"train": {"name": "a", "md5": "x"}},
            "'data.files.train.md5' = 'x' is wrong: it must be 32 hexadecimal digits",
        ),
    ],
)
def test_members_of_lists_and_tables(raw: dict[str, Any], key: str, value: Any, sentence: str) -> None:
    assert str(_sentence(raw, key, value)) == sentence


def test_a_mean_for_each_of_three_channels(raw: dict[str, Any]) -> None:
    coloured = {**raw, "data": {**raw["data"], "channels": 3}}
    assert str(_sentence(coloured, "seed", 0)) == (
        "'data.mean' = [0.1307] is wrong: it must be 3 numbers, one per channel"
    )


def test_nesterov_needs_momentum() -> None:
    rate = {"lr": 0.1, "lr_scaling": "none", "lr_base_batch": 256}
    sgd = {"name": "sgd", **rate, "weight_decay": 0.0, "momentum": 0.0, "nesterov": True}
    with pytest.raises(ConfigError) as caught:
        parse(OptimizerConfig, sgd, "optimizer")
    assert str(caught.value) == ("'optimizer.nesterov' = true is wrong: it must be false where optimizer.momentum is 0")


def test_a_section_alone_is_named_by_where_it_stands() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TrainerConfig, {"max_epoch": 3}, "trainer")
    assert str(caught.value) == "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"


def test_a_long_value_is_cut(raw: dict[str, Any]) -> None:
    sentence = str(_sentence(raw, "trainer.max_epochs", "x" * 100))
    assert sentence == f"'trainer.max_epochs' = '{'x' * 56}... is wrong: it must be a whole number"


def test_a_map_by_umap_asks_for_its_package(raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fovea.config.schema.evaluation.find_spec", lambda name: None)
    said = str(_sentence(raw, "evaluate.map_method", "umap"))
    assert said == (
        "'evaluate.map_method' = 'umap' is wrong: it must be pca, as umap-learn is not installed "
        "(pip install 'fovea[umap]')"
    )
