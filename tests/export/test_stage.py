"""The export stage: a checked file, what is told of it, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea.config.schema import ExportConfig
from fovea.core.errors import RunError, UserError
from fovea.evaluation.infer import batch_logits, logits
from fovea.evaluation.metrics import softmax
from fovea.export import OnnxModel, origin, stage
from fovea.export.parity import Parity
from fovea.pictures.pillow import packed
from fovea.serving.runner import OnnxRunner

CONFIG = ExportConfig(
    opset=18,
    preprocessing="inside",
    int8=False,
    calibration_pictures=8,
    torch_export=False,
    pyfunc=False,
    batch_size=10,
    tolerance=1e-4,
    int8_tolerance=0.005,
)

Logged = Any  # what the run was given: `files` and `metrics`

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def test_the_folder_holds_the_model_and_what_is_known_of_it(prepared: Any, model: Any, logged: Logged) -> None:
    exported = stage.export(prepared, model, CONFIG)
    facts = json.loads((exported.path / "export.json").read_text(encoding="utf-8"))
    found = facts["parity"]["model.onnx"]
    assert found["pictures"] == 21
    assert found["largest_logit_difference"] <= 1e-5
    assert found["accuracy_exported"] == found["accuracy_pytorch"]
    assert facts["classes"] == ["<cat>", "Hündin", "3"]
    assert facts["input"] == "images: uint8 [batch, 3, 8, 8], RGB, 0 to 255, normalised inside"
    assert facts["opset"] == 18
    assert facts["files"] == {"model.onnx": hashlib.sha256(exported.file.read_bytes()).hexdigest()}
    assert logged.files == {"export/model.onnx", "export/export.json", "export/forms.csv"}


def test_every_form_is_compared_and_timed(prepared: Any, model: Any, logged: Logged) -> None:
    everything = CONFIG.model_copy(update={"int8": True, "torch_export": True, "int8_tolerance": 0.5})
    exported = stage.export(prepared, model, everything)
    with (exported.path / "forms.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["form"], row["file"]) for row in rows] == [
        ("pytorch", ""),
        ("onnx", "model.onnx"),
        ("onnx_int8", "model.int8.onnx"),
        ("torch_export", "model.pt2"),
    ]
    assert all(float(row["milliseconds"]) > 0 for row in rows)
    for row in rows[1:]:
        assert int(row["bytes"]) == (exported.path / row["file"]).stat().st_size
        assert logged.metrics[f"export/{row['form']}/acc"] == float(row["accuracy_exported"])
    assert logged.metrics["export/eager/milliseconds"] > 0
    assert logged.metrics["export/torch_export/largest_logit_difference"] <= 1e-5


def test_the_normalisation_may_stay_outside(prepared: Any, model: Any, logged: Logged) -> None:
    everything = {"preprocessing": "beside", "int8": True, "torch_export": True, "int8_tolerance": 0.5}
    exported = stage.export(prepared, model, CONFIG.model_copy(update=everything))
    facts = json.loads((exported.path / "export.json").read_text(encoding="utf-8"))
    assert facts["input"].startswith("images: float32 [batch, 3, 8, 8], RGB, pixels of 0 to 255 times scale plus shift")
    np.testing.assert_allclose(facts["shift"], [-2.5, -4 / 3, -0.75], rtol=1e-6)
    inside = {item.key: item.value for item in onnx.load(exported.file).metadata_props}
    assert json.loads(inside["scale"]) == facts["scale"]
    assert facts["parity"]["model.pt2"]["largest_logit_difference"] <= 1e-5


@pytest.mark.parametrize("preprocessing", ["inside", "beside"])
def test_the_mlflow_model_answers_as_the_network(
    prepared, model, logged: Logged, split: Any, preprocessing: str
) -> None:
    import mlflow.pyfunc
    import pandas as pd

    changes = {"pyfunc": True, "preprocessing": preprocessing}
    exported = stage.export(prepared, model, CONFIG.model_copy(update=changes))
    assert "export/pyfunc" in logged.files
    before = list(sys.path)
    loaded = mlflow.pyfunc.load_model(str(exported.path / "pyfunc"))
    found = loaded.predict(pd.DataFrame({"image": [packed(split.image(3)), split.image(4)]}))
    expected = softmax(batch_logits(model.network(), split.pixels[3:5]))
    np.testing.assert_allclose([list(row.values()) for row in found["probabilities"]], expected, atol=1e-5)
    assert list(found["predicted"]) == [["<cat>", "Hündin", "3"][row] for row in expected.argmax(axis=1)]
    assert sys.path == before
    assert loaded.metadata.metadata["data_digest"] == "ab" * 32
    assert loaded.metadata.signature.inputs.input_names() == ["image"]


def test_eight_bits_that_cost_accuracy_are_not_delivered(prepared, model, logged, monkeypatch) -> None:
    wrong = Parity(21, 1.0, 0.9, 0.5)
    judge = stage.require_accuracy
    monkeypatch.setattr(stage, "require_accuracy", lambda file, found, tolerance: judge(file, wrong, tolerance))
    with pytest.raises(RunError, match=r"model\.int8\.onnx has an accuracy of 0\.5000 .* nothing was written"):
        stage.export(prepared, model, CONFIG.model_copy(update={"int8": True}))
    assert logged.files == set()


def test_the_model_itself_tells_its_classes_and_origin(prepared: Any, model: Any, logged: Logged) -> None:
    exported = stage.export(prepared, model, CONFIG)
    facts = {item.key: item.value for item in onnx.load(exported.file).metadata_props}
    assert json.loads(facts["classes"]) == ["<cat>", "Hündin", "3"]
    assert (facts["run_name"], facts["data"], facts["data_digest"]) == ("net-pets-0123abcd", "pets", "ab" * 32)


def test_a_published_export_opens_again(prepared: Any, model: Any, logged: Logged, tmp_path: Path) -> None:
    stage.export(prepared, model, CONFIG).publish(tmp_path / "export")
    assert OnnxModel.open(tmp_path / "export").file == tmp_path / "export" / "model.onnx"


def test_pictures_of_any_size_are_seen_as_the_model_was_tested(photos, model, logged, monkeypatch) -> None:
    flip = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}
    answers = []
    for augment in ({}, {"eval": [flip]}):
        model.facts["config"] = {"augment": augment}
        monkeypatch.setattr(stage, "require", lambda *_: None)
        monkeypatch.setattr(
            stage, "logits", lambda *arguments: answers.append(logits(*arguments)) or answers[-1], raising=True
        )
        facts = json.loads((stage.export(photos, model, CONFIG).path / "export.json").read_text(encoding="utf-8"))
        assert facts["parity"]["model.onnx"]["largest_logit_difference"] <= 1e-5
    assert not np.array_equal(*answers)


def test_a_model_that_answers_otherwise_is_not_logged(prepared, model, logged, monkeypatch) -> None:
    monkeypatch.setattr(OnnxRunner, "__call__", lambda self, pixels: np.ones((len(pixels), 3), np.float32))
    with pytest.raises(RunError, match=r"a logit by .* more than export\.tolerance=0\.0001; nothing was written"):
        stage.export(prepared, model, CONFIG)
    assert logged.files == set()


def test_a_model_of_other_classes_is_refused(prepared: Any, model: Any, logged: Logged) -> None:
    prepared.meta.classes = ("cat",)
    with pytest.raises(UserError, match="it knows 3 classes, the data have 1"):
        stage.export(prepared, model, CONFIG)


def test_the_run_its_temperature_and_the_transforms_go_with_the_files(prepared, model, logged, monkeypatch) -> None:
    import mlflow.pyfunc
    import pandas as pd

    flip = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}
    model.facts["config"] = {"augment": {"eval": [flip]}}
    record = {"run_key": "k", "run_id": "ab" * 16, "name": "n", "experiment": "e", "uri": "sqlite:///x"}
    (model.path / "run.json").write_text(json.dumps(record))
    monkeypatch.setattr(origin, "temperature_of", {"ab" * 16: 2.5}.__getitem__)
    exported = stage.export(prepared, model, CONFIG.model_copy(update={"pyfunc": True}))
    facts = json.loads((exported.path / "export.json").read_text(encoding="utf-8"))
    assert (facts["run_id"], facts["temperature"], facts["transforms"]) == ("ab" * 16, 2.5, [flip])
    inside = OnnxRunner(exported.file).facts
    assert (inside["run_id"], inside["temperature"], json.loads(inside["transforms"])) == ("ab" * 16, "2.5", [flip])
    picture = prepared.split("test").image(3)
    found = mlflow.pyfunc.load_model(str(exported.path / "pyfunc")).predict(pd.DataFrame({"image": [packed(picture)]}))
    expected = softmax(batch_logits(model.network(), picture[None, :, ::-1]) / 2.5)
    np.testing.assert_allclose([list(row.values()) for row in found["probabilities"]], expected, atol=1e-5)
