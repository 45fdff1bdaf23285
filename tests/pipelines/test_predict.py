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
    assert pipeline.outputs() == {"prediction_table", "prediction_page"}


@pytest.mark.parametrize("is_named", [False, True])
def test_files_get_the_classes_that_the_data_set_gets(
    digits: Any, untrained: Any, conf: dict[str, Any], answers: Any, tmp_path: Path, is_named: bool
) -> None:
    test = digits.split("test")
    (tmp_path / "pictures").mkdir()
    for row in range(50):
        cv2.imwrite(str(tmp_path / "pictures" / f"{row:02d}.png"), test.image(row))
    config = conf["predict"] | {"source": str(tmp_path / "pictures"), "batch_size": 7}
    given = (None, config | {"model": str(untrained.path)}) if is_named else (untrained, config)
    table, page = predict(*given)
    assert table["predicted"].tolist() == [str(label) for label in answers[:50]]
    assert set(table["status"]) == {"ok"}
    assert "lenet5-digits-0123abcd" in (page.path / "predictions.html").read_text(encoding="utf-8")


def test_without_a_source_the_pipeline_says_how_to_name_one(untrained: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"predict\.source is not set"):
        predict(untrained, conf["predict"])
