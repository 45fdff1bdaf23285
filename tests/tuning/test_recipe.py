"""The space against the project's own configuration, and what makes a search the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import UserError
from fovea.settings import CONFIG_LOADER_ARGS
from fovea.tuning.recipe import Recipe, check_space, differences, identity_of, recipe_of
from fovea.tuning.space import Space

CONF = Path(__file__).resolve().parents[2] / "conf"


def _space(**parameters: Any) -> Space:
    return Space.of("mine", {"parameters": {key.replace("__", "."): value for key, value in parameters.items()}})


def _recipe(space: Space, *overrides: str) -> Recipe:
    return recipe_of(space, CONF, None, CONFIG_LOADER_ARGS, overrides)


def _identity(space: Space, *overrides: str, data: str = "d") -> dict[str, Any]:
    recipe = _recipe(space, *overrides)
    base = recipe.composed()
    return identity_of(space, base, check_space(space, recipe, base), data)


def test_every_end_is_composed_and_each_makes_another_training() -> None:
    space = _space(optimizer__lr={"low": 1e-3, "high": 1e-2}, model=["lenet5", "tf_mnist"])
    recipe = _recipe(space, "seed=3")
    tried = check_space(space, recipe, recipe.composed())
    assert list(tried) == [
        "optimizer.lr=0.001 model=lenet5",
        "optimizer.lr=0.01 model=lenet5",
        "optimizer.lr=0.001 model=tf_mnist",
    ]
    assert len(set(tried.values())) == 3
    made = recipe.composed(["optimizer.lr=0.01", "model=tf_mnist"])
    assert (made.job.seed, made.job.optimizer.lr, made.job.model.name) == (3, 0.01, "tf_mnist")
    assert (made.choices["model"], made.choices["data"]) == ("tf_mnist", "digits")


@pytest.mark.parametrize(
    ("parameters", "overrides", "sentence"),
    [
        ({"optimizer__lrr": [1, 2]}, (), "unknown key 'optimizer.lrr' = 1; did you mean 'lr'?"),
        ({"modle": ["a", "b"]}, (), "unknown group or key 'modle'; did you mean 'model'?"),
        ({"model": ["lenet5", "lenet6"]}, (), "unknown model 'lenet6'; did you mean 'lenet5'?"),
        ({"optimizer__lr": {"low": -1.0, "high": 1.0}}, (), "'optimizer.lr' = -1.0 is wrong: it must be a number"),
        ({"optimizer__lr": {"low": 0.1, "high": 1.0}, "optimizer": ["sgd", "adm"]}, (), "unknown optimizer 'adm'"),
        (
            {"optimizer__momentum": [0.5, 0.9], "optimizer": ["sgd", "adam"]},
            (),
            "unknown key 'optimizer.momentum' = 0.5",
        ),
        ({"prepare__val_fraction": [0.1, 0.2]}, (), "the parameters change 'prepare'"),
        ({"experiment": ["mnist_fast", "mnist_deep"]}, (), "the parameters change 'data'"),
        ({"trainer__threads": [1, 2]}, (), "not all values of 'trainer.threads' make another training"),
        ({"seed": [1, 2]}, ("trainer.devices=2",), "a trial trains on one device"),
    ],
)
def test_what_the_configuration_does_not_take_is_refused(
    parameters: dict[str, Any], overrides: tuple[str, ...], sentence: str
) -> None:
    space = _space(**parameters)
    recipe = _recipe(space, *overrides)
    with pytest.raises(UserError) as caught:
        check_space(space, recipe, recipe.composed())
    assert sentence in str(caught.value)


def test_the_identity_is_that_of_all_that_decides_the_trials() -> None:
    space = _space(optimizer__lr={"low": 1e-3, "high": 1e-2})
    identity = _identity(space)
    assert identity == _identity(space, "trainer.threads=1", "evaluate.gallery=3")
    other = _identity(space, "trainer.max_epochs=3", data="e")
    assert differences(identity, identity) == []
    assert differences(identity, other) == ["trainer.max_epochs was 20 and is 3", "data was d and is e"]
    wider = _identity(_space(optimizer__lr={"low": 1e-3, "high": 1e-1}))
    assert differences(identity, wider) == ["parameters.optimizer.lr.high was 0.01 and is 0.1"]
    more = _identity(_space(optimizer__lr={"low": 1e-3, "high": 1e-2}, seed=[1, 2]))
    assert differences(identity, more) == ["parameters.seed.choices was not there and is [1, 2]"]


def test_how_long_a_search_lasts_is_no_part_of_it() -> None:
    raw = {"parameters": {"seed": [1, 2]}}
    assert _identity(Space.of("a", raw)) == _identity(Space.of("b", {**raw, "n_trials": 3, "timeout_minutes": 1.0}))
    assert _identity(Space.of("a", raw)) != _identity(Space.of("a", {**raw, "sampler": "random"}))


def test_a_changed_member_of_a_group_is_another_search() -> None:
    before = {"search": {}, "tried": {"model=a": "1", "model=b": "2"}}
    now = {"search": {}, "tried": {"model=a": "1", "model=b": "3"}}
    assert differences(before, now) == ["what 'model=b' makes of the configuration"]


def test_many_differences_are_counted() -> None:
    told = differences({"search": {str(key): 0 for key in range(9)}}, {"search": {str(key): 1 for key in range(9)}})
    assert told[:2] == ["0 was 0 and is 1", "1 was 0 and is 1"]
    assert told[5:] == ["and 4 more"]
