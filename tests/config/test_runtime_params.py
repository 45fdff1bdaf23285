from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fovea.config.compose import compose
from fovea.config.runtime_params import as_overrides
from fovea.core.errors import UserError

GROUPS = {"model", "optimizer", "experiment"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (1e-5, "1e-05"),
        (float("inf"), "inf"),
        ("lenet5", "lenet5"),
        ("val/acc", "val/acc"),
        ("", "''"),
        ("a, b=c", "'a, b=c'"),
        ("it's", r"'it\'s'"),
        ("32", "'32'"),
        ("true", "'true'"),
        ("null", "'null'"),
        ("[1]", "'[1]'"),
        ("${x}", "'${x}'"),
    ],
)
def test_a_value_is_written_as_hydra_reads_it(value: Any, written: str) -> None:
    assert as_overrides({"tracking": {"uri": value}}, GROUPS) == [f"tracking.uri={written}"]


@pytest.mark.parametrize(
    "value", [None, True, 3, 1e-5, "lenet5", "val/acc", "a, b=c", "it's", "32", "1e3", "true", "on"]
)
def test_a_value_survives_the_composition(conf: Path, value: Any) -> None:
    found = compose(conf, as_overrides({"tracking": {"uri": value}}, GROUPS)).config["tracking"]["uri"]
    assert found == value
    assert type(found) is type(value)


def test_nested_values_come_before_the_override_lines() -> None:
    params = {"overrides": ["model=lenet5", "seed=2"], "seed": 1, "model": {"dropout": 0.1}}
    assert as_overrides(params, GROUPS) == ["seed=1", "model.dropout=0.1", "model=lenet5", "seed=2"]
    assert as_overrides({"overrides": "model=lenet5"}, GROUPS) == ["model=lenet5"]
    assert as_overrides({}, GROUPS) == []


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            {"model": "resnet18"},
            "--params cannot choose a member of 'model'; write it as an override: kedro run model=resnet18",
        ),
        (
            {"+experiment": "x"},
            "--params cannot choose a member of 'experiment'; write it as an override: kedro run experiment=x",
        ),
        (
            {"data": {"mean": [0.5]}},
            "--params takes no list for 'data.mean'; write it as an override: kedro run 'data.mean=[...]'",
        ),
        (
            {"~trainer": {"threads": None}},
            "--params takes plain values and '~trainer' is none; write it as an override: kedro run '~trainer=...'",
        ),
    ],
)
def test_what_would_be_lost_is_refused(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        as_overrides(params, GROUPS)
    assert str(caught.value) == sentence
