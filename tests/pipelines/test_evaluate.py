"""The evaluate pipeline on real digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fovea.core.errors import UserError
from fovea.pipelines.evaluate.nodes import evaluate
from fovea.pipelines.evaluate.pipeline import create_pipeline

HISTORY = pd.DataFrame({"epoch": [0], "train/loss": [2.3], "val/acc": [0.1]})


def test_the_pipeline_takes_and_gives_what_the_catalog_names() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == {"prepared", "model", "history", "params:data", "params:evaluate"}
    assert pipeline.outputs() == {"predictions", "metrics", "confusion", "report"}
    assert [(node.name, node.tags) for node in pipeline.nodes] == [("evaluate", {"evaluate"})]


def test_the_numbers_are_those_of_the_network(digits: Any, untrained: Any, conf: dict[str, Any], answers) -> None:
    predictions, metrics, confusion, report = evaluate(digits, untrained, HISTORY, conf["data"], conf["evaluate"])
    labels = digits.split("test").labels
    assert metrics["test/acc"] == np.mean(answers == labels)
    assert metrics["test/count"] == len(labels) == digits.meta.counts["test"]
    assert predictions["id"].tolist() == list(digits.split("test").ids)
    assert predictions["predicted"].tolist() == confusion["predicted"].tolist() == [str(label) for label in answers]
    assert confusion["actual"].tolist() == [str(label) for label in labels]
    assert "lenet5-digits-0123abcd" in (report.path / "report.html").read_text()


def test_a_second_evaluation_gives_the_same_bits(digits: Any, untrained: Any, conf: dict[str, Any]) -> None:
    first, second = (evaluate(digits, untrained, HISTORY, conf["data"], conf["evaluate"]) for _ in range(2))
    assert first[1] == second[1]
    pd.testing.assert_frame_equal(first[0], second[0], check_exact=True)


def test_an_unknown_key_is_refused(digits: Any, untrained: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"evaluate\.batchsize"):
        evaluate(digits, untrained, HISTORY, conf["data"], conf["evaluate"] | {"batchsize": 3})


def test_data_of_another_name_are_refused(digits: Any, untrained: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"holds 'digits', but the config says data\.name=mnist"):
        evaluate(digits, untrained, HISTORY, conf["data"] | {"name": "mnist"}, conf["evaluate"])
