"""The 8-bit file: quantised multiplications, nearly the same answers, the same bytes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fovea.augment import build_eval
from fovea.core.errors import UserError
from fovea.export.forms import calibration
from fovea.export.int8 import write_int8
from fovea.export.onnx import write_onnx
from fovea.serving.runner import OnnxRunner

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
VIEW = build_eval([], channels=3, image_size=8)


@pytest.fixture
def file(network: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    example = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    write_onnx(network, path, example=example, opset=18, facts={"classes": '["Hündin"]'})
    return path


def test_the_weights_have_eight_bits_and_the_facts_stay(file: Path, tmp_path: Path) -> None:
    write_int8(file, tmp_path / "small.onnx", [PIXELS[:32], PIXELS[32:]])
    model = onnx.load(tmp_path / "small.onnx")
    onnx.checker.check_model(model, full_check=True)
    weights = [item for item in model.graph.initializer if item.data_type == onnx.TensorProto.INT8]
    # One bit less than there is: -64 to 63 and not -128 to 127.
    assert max(abs(int(value)) for item in weights for value in onnx.numpy_helper.to_array(item).flatten()) <= 64
    assert sorted(list(item.dims) for item in weights if len(item.dims) > 1) == [[3, 16], [4, 3, 3, 3]]
    assert {item.key: item.value for item in model.metadata_props}["classes"] == '["Hündin"]'


def test_answers_are_nearly_those_of_the_floats(file: Path, tmp_path: Path) -> None:
    write_int8(file, tmp_path / "small.onnx", [PIXELS])
    exact, rough = OnnxRunner(file)(PIXELS), OnnxRunner(tmp_path / "small.onnx")(PIXELS)
    assert 0 < np.abs(exact - rough).max() < 0.05 * np.abs(exact).max()


def test_the_same_pictures_give_the_same_bytes(file: Path, tmp_path: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        write_int8(file, tmp_path / name, [PIXELS])
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_calibration_takes_pictures_at_even_distances(split: Any) -> None:
    pixels = split.pixels.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(calibration(split, VIEW, 3), pixels[[0, 10, 20]])
    np.testing.assert_array_equal(calibration(split, VIEW, 100), pixels)


def test_calibration_without_a_picture_is_refused() -> None:
    with pytest.raises(UserError, match=r"no training pictures to calibrate with; go without by export\.int8=false"):
        calibration([], VIEW, 3)
