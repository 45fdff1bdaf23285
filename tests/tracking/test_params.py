from __future__ import annotations

from fovea.tracking.params import LONGEST, cut, flatten


def test_nested_values_become_dotted_names() -> None:
    config = {
        "seed": 0,
        "model": {"name": "lenet5", "init": None},
        "optimizer": {"betas": [0.9, 0.999], "nesterov": True},
    }
    assert flatten(config) == {
        "seed": "0",
        "model.name": "lenet5",
        "model.init": "null",
        "optimizer.betas": "[0.9, 0.999]",
        "optimizer.nesterov": "true",
    }


def test_lists_of_sections_stay_whole_and_empty_sections_stay() -> None:
    assert flatten({"augment": {"train": [{"p": 0.5}]}, "files": {}}) == {
        "augment.train": '[{"p": 0.5}]',
        "files": "{}",
    }


def test_long_values_are_cut_with_a_mark() -> None:
    value = flatten({"text": "x" * 600})["text"]
    assert (len(value), value[-1], value[-2]) == (LONGEST, "…", "x")
    assert cut("x" * LONGEST) == "x" * LONGEST


def test_names_that_mlflow_refuses_are_made_fit() -> None:
    assert flatten({"data@val": "ä"}) == {"data_val": "ä"}
