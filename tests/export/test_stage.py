"""The export stage: a checked file, what is told of it, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea.config.schema import ExportConfig
from fovea.core.errors import RunError, UserError
from fovea.evaluation.infer import logits
from fovea.export import OnnxModel, stage

CONFIG = ExportConfig(opset=18, batch_size=10, tolerance=1e-4)

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def test_the_folder_holds_the_model_and_what_is_known_of_it(prepared: Any, model: Any, logged: set[str]) -> None:
    exported = stage.export(prepared, model, CONFIG)
    facts = json.loads((exported.path / "export.json").read_text(encoding="utf-8"))
    assert facts["parity"]["pictures"] == 21
    assert facts["parity"]["largest_logit_difference"] <= 1e-5
    assert facts["parity"]["accuracy_exported"] == facts["parity"]["accuracy_pytorch"]
    assert facts["classes"] == ["<cat>", "Hündin", "3"]
    assert facts["input"] == "images: uint8 [batch, 3, 8, 8], RGB, 0 to 255, normalised inside"
    assert facts["opset"] == 18
    assert facts["sha256"] == hashlib.sha256(exported.file.read_bytes()).hexdigest()
    assert logged == {"export/model.onnx", "export/export.json"}


def test_the_model_itself_tells_its_classes_and_origin(prepared: Any, model: Any, logged: set[str]) -> None:
    exported = stage.export(prepared, model, CONFIG)
    facts = {item.key: item.value for item in onnx.load(exported.file).metadata_props}
    assert json.loads(facts["classes"]) == ["<cat>", "Hündin", "3"]
    assert (facts["run_name"], facts["data"], facts["data_digest"]) == ("net-pets-0123abcd", "pets", "ab" * 32)


def test_a_published_export_opens_again(prepared: Any, model: Any, logged: set[str], tmp_path: Path) -> None:
    stage.export(prepared, model, CONFIG).publish(tmp_path / "export")
    assert OnnxModel.open(tmp_path / "export").file == tmp_path / "export" / "model.onnx"


def test_pictures_of_any_size_are_seen_as_the_model_was_tested(photos, model, logged, monkeypatch) -> None:
    flip = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}
    answers = []
    for augment in ({}, {"eval": [flip]}):
        model.facts["config"] = {"augment": augment}
        monkeypatch.setattr(stage, "require", lambda found, tolerance: None)
        monkeypatch.setattr(
            stage, "logits", lambda *arguments: answers.append(logits(*arguments)) or answers[-1], raising=True
        )
        facts = json.loads((stage.export(photos, model, CONFIG).path / "export.json").read_text(encoding="utf-8"))
        assert facts["parity"]["largest_logit_difference"] <= 1e-5
    assert not np.array_equal(*answers)


def test_a_model_that_answers_otherwise_is_not_logged(prepared, model, logged, monkeypatch) -> None:
    monkeypatch.setattr(stage, "onnx_logits", lambda *_: np.ones((21, 3), np.float32))
    with pytest.raises(RunError, match=r"a logit by .* more than export\.tolerance=0\.0001; nothing was written"):
        stage.export(prepared, model, CONFIG)
    assert logged == set()


def test_a_model_of_other_classes_is_refused(prepared: Any, model: Any, logged: set[str]) -> None:
    prepared.meta.classes = ("cat",)
    with pytest.raises(UserError, match="it knows 3 classes, the data have 1"):
        stage.export(prepared, model, CONFIG)
