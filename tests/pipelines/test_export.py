"""The export pipeline on real digits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fovea.pipelines.export.nodes import export
from fovea.pipelines.export.pipeline import create_pipeline

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def test_the_pipeline_takes_and_gives_what_the_catalog_names() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == {"prepared", "model", "params:export"}
    assert pipeline.outputs() == {"onnx"}


def test_the_exported_network_gives_the_same_classes(
    digits: Any, untrained: Any, conf: dict[str, Any], answers
) -> None:
    exported = export(digits, untrained, conf["export"])
    session = onnxruntime.InferenceSession(str(exported.file), providers=["CPUExecutionProvider"])
    pixels = np.ascontiguousarray(digits.split("test").images().transpose(0, 3, 1, 2))
    (logits,) = session.run(["logits"], {"images": pixels})
    assert logits.argmax(axis=1).tolist() == answers.tolist()
    parity = json.loads((exported.path / "export.json").read_text())["parity"]["model.onnx"]
    assert parity["pictures"] == len(answers)
    assert parity["largest_logit_difference"] < 1e-4
