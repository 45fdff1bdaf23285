"""The predict pipeline on real digits, written as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from fovea.core.errors import UserError
from fovea.pipelines.predict.nodes import predict
from fovea.pipelines.predict.pipeline import create_pipeline


def test_the_pipeline_needs_a_model_and_a_source_alone() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == {"model", "params:predict"}
    assert pipeline.outputs() == {"prediction_table"}


def test_files_get_the_classes_that_the_data_set_gets(
    digits: Any, untrained: Any, conf: dict[str, Any], answers: Any, tmp_path: Path
) -> None:
    test = digits.split("test")
    for row in range(50):
        cv2.imwrite(str(tmp_path / f"{row:02d}.png"), test.image(row))
    table = predict(untrained, conf["predict"] | {"source": str(tmp_path), "batch_size": 7})
    assert table["predicted"].tolist() == [str(label) for label in answers[:50]]
    assert set(table["status"]) == {"ok"}


def test_without_a_source_the_pipeline_says_how_to_name_one(untrained: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"predict\.source is not set"):
        predict(untrained, conf["predict"])
