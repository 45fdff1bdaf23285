"""A model as it is delivered: an ONNX file that tells dark pictures from bright ones, and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fovea.pictures.pillow import packed
from fovea.serving.classifier import Classifier

CLASSES = ["dark", "bright"]


def _write(folder: Path, **changes: object) -> Path:
    """A folder whose model says `bright` of pictures [B, 3, 8, 8] with a mean above 128."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=kinds.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    weights = np.concatenate([np.full((192, 1), -1 / 192), np.full((192, 1), 1 / 192)], axis=1).astype(np.float32)
    tensors = [
        onnx.numpy_helper.from_array(weights, "weights"),
        onnx.numpy_helper.from_array(np.array([128, -128], np.float32), "bias"),
    ]
    taken = helper.make_tensor_value_info("images", kinds.UINT8, ["batch", 3, 8, 8])
    given = helper.make_tensor_value_info("logits", kinds.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "brightness", [taken], [given], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    facts = {"classes": CLASSES, "channels": 3, "image_size": 8, "transforms": [], "scaling": None}
    (folder / "classifier.json").write_text(json.dumps(facts | changes))
    return folder


@pytest.fixture(scope="session")
def write_classifier() -> Callable[..., Path]:
    """Writes such a model into a folder, with changes of what is known of it."""
    return _write


@pytest.fixture
def picture() -> Callable[[int], bytes]:
    """A PNG file of one shade."""
    return lambda value: packed(np.full((20, 20, 3), value, np.uint8))


@pytest.fixture
def make_classifier(tmp_path: Path) -> Callable[..., Classifier]:
    """A classifier, with changes of what is known of it."""
    return lambda **changes: Classifier(_write(tmp_path / "model", **changes))


@pytest.fixture
def classifier(make_classifier: Callable[..., Classifier]) -> Classifier:
    return make_classifier()
