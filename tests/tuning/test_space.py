from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import UserError
from fovea.tuning.space import Space, check_free, extremes_of, grid_of, overrides_of, read_space

CONF = Path(__file__).resolve().parents[2] / "conf"
LR = {"low": 1e-4, "high": 1e-1, "log": True}


def _space(sampler: str = "tpe", **parameters: Any) -> Space:
    return Space.of(
        "mine", {"sampler": sampler, "parameters": {k.replace("__", "."): v for k, v in parameters.items()}}
    )


@pytest.mark.parametrize("path", sorted((CONF / "tune").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_space_that_is_delivered_can_be_read(path: Path) -> None:
    assert read_space(CONF, path.stem).parameters


def test_a_point_as_overrides() -> None:
    space = _space(
        optimizer__lr=LR,
        model=["lenet5", "resnet18"],
        loader__batch_size={"choices": [32, 64]},
        trainer__max_epochs={"low": 2, "high": 9},
        model__dropout=[None, 0.5],
        optimizer__betas=[[0.9, 0.999], [0.8, 0.99]],
        loss__label_smoothing={"low": 0.0, "high": 0.3, "step": 0.1},
    )
    point = {
        "optimizer.lr": 0.00123456789,
        "model": "resnet18",
        "loader.batch_size": "64",
        "trainer.max_epochs": 7,
        "model.dropout": "null",
        "optimizer.betas": "[0.8,0.99]",
        "loss.label_smoothing": 0.1 + 0.2,
    }
    assert overrides_of(space, point) == [
        "optimizer.lr=0.001235",
        "model=resnet18",
        "loader.batch_size=64",
        "trainer.max_epochs=7",
        "model.dropout=null",
        "optimizer.betas=[0.8,0.99]",
        "loss.label_smoothing=0.3",
    ]


@pytest.mark.parametrize(("drawn", "said"), [(0.123449, "0.12344"), (0.123441, "0.12344"), (0.123445, "0.12344")])
def test_rounding_never_leaves_the_range(drawn: float, said: str) -> None:
    space = _space(a={"low": 0.12344, "high": 0.12346})
    value = float(overrides_of(space, {"a": drawn})[0].partition("=")[2])
    assert 0.12344 <= value <= 0.12346
    assert repr(value) == said


def test_a_grid_is_every_combination_the_last_parameter_fastest() -> None:
    space = _space("grid", a=[1, "x"], b={"low": 0.0, "high": 0.5, "step": 0.25}, c={"low": 3, "high": 4})
    points = list(grid_of(space))
    assert space.combinations == len(points) == 2 * 3 * 2
    assert [space.trials(), space.trials(5), space.trials(99)] == [12, 5, 12]
    assert points[:3] == [{"a": "1", "b": 0.0, "c": 3}, {"a": "1", "b": 0.0, "c": 4}, {"a": "1", "b": 0.25, "c": 3}]
    assert points[-1] == {"a": "x", "b": 0.5, "c": 4}


def test_the_number_of_trials_is_that_of_the_command_or_of_the_space() -> None:
    raw = {"parameters": {"a": {"low": 0.0, "high": 1.0}}}
    assert [Space.of("a", raw).trials(), Space.of("a", raw).trials(3)] == [20, 3]
    assert Space.of("a", {**raw, "n_trials": 7}).trials() == 7


def test_the_ends_are_tried_one_at_a_time() -> None:
    space = _space(a={"low": 0.0, "high": 1.0}, b=["x", "y", "z"])
    assert list(extremes_of(space)) == [
        {"a": 0.0, "b": "x"},
        {"a": 1.0, "b": "x"},
        {"a": 0.0, "b": "y"},
        {"a": 0.0, "b": "z"},
    ]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"a": {"low": 1, "high": 0.1}}, "a range whose low (1) is below its high (0.1)"),
        ({"a": {"low": 0.1, "high": 0.1}}, "a range whose low (0.1) is below its high (0.1)"),
        ({"a": {"low": 0, "high": 0.1, "log": True}}, "above 0, as log: true takes its logarithm (low is 0)"),
        ({"a": {"low": 1, "high": 9, "log": True, "step": 2}}, "a range with either log: true or a step"),
        ({"a": {"low": 0, "high": 2, "step": 3}}, "a step of 3 leads from low to another number"),
        ({"a": {"low": 0, "hihg": 2}}, "unknown key 'parameters.a.hihg' = 2; did you mean 'high'?"),
        ({"a": {"low": 0}}, "'parameters.a.high' has no value"),
        ({"a": [1, 1]}, "a list that names no value twice"),
        ({"a": [1]}, "a list of at least 2"),
        ({"a": 3}, "a list of values, or low and high; what all trials share stands in overrides: [a=3]"),
        ({}, "'parameters' = {} is wrong"),
    ],
)
def test_wrong_parameters_are_refused(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        Space.of("mine", {"parameters": raw})
    assert str(caught.value).startswith("conf/tune/mine.yaml: ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"metric": "test/acc"}, "what the test pictures choose, they cannot judge any more"),
        ({"metric": "val/f1"}, "it must be 'val/acc' or 'val/loss'; did you mean 'val/acc'?"),
        ({"metric": "val/loss"}, "'direction' = 'maximize' is wrong: it must be minimize for metric: val/loss"),
        ({"direction": "minimize"}, "it must be maximize for metric: val/acc"),
        ({"n_trials": 0}, "'n_trials' = 0 is wrong: it must be at least 1"),
        ({"sampler": "bayes"}, "it must be 'tpe', 'random' or 'grid'"),
        ({"pruner": "meddian"}, "did you mean 'median'?"),
        ({"parametres": {}}, "unknown key 'parametres' = {}; did you mean 'parameters'?"),
        ({"sampler": "grid"}, "'parameters.a' is a continuous range, of which sampler 'grid' cannot try every value"),
        (
            {"sampler": "grid", "parameters": {"a": {"low": 1, "high": 200}, "b": {"low": 1, "high": 200}}},
            "more than 10,000 combinations",
        ),
    ],
)
def test_wrong_searches_are_refused(raw: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        Space.of("mine", {"parameters": {"a": {"low": 0.0, "high": 1.0}}, **raw})
    assert sentence in str(caught.value)


def test_less_loss_is_better() -> None:
    raw = {"metric": "val/loss", "direction": "minimize", "parameters": {"a": [1, 2]}}
    assert Space.of("mine", raw).config.direction == "minimize"


def test_an_unknown_space_is_told_with_the_nearest_name() -> None:
    with pytest.raises(UserError) as caught:
        read_space(CONF, "defualt")
    assert str(caught.value) == ("unknown space 'defualt': there is no conf/tune/defualt.yaml; did you mean 'default'?")


def test_yaml_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "conf/tune").mkdir(parents=True)
    (tmp_path / "conf/tune/broken.yaml").write_text("parameters: [\n")
    with pytest.raises(UserError, match=r"conf/tune/broken.yaml is not valid YAML at line"):
        read_space(tmp_path / "conf", "broken")


@pytest.mark.parametrize("line", ["optimizer.lr=0.1", "+optimizer.lr=0.1"])
def test_what_is_searched_cannot_be_set(line: str) -> None:
    with pytest.raises(UserError, match=r"sets what conf/tune/mine.yaml searches"):
        check_free(_space(optimizer__lr=LR), ["seed=1", line])
    check_free(_space(optimizer__lr=LR), ["optimizer=sgd", "optimizer.lr_scaling=linear"])
