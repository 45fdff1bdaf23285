"""The ONNX file: any batch, the original's answers, and nothing of this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fovea.core.errors import UserError
from fovea.export.onnx import check_installed, write_onnx
from fovea.serving.runner import OnnxRunner
from fovea.serving.scaling import Scaling

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

BYTES = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8)).astype(np.uint8)


@pytest.fixture
def file(network: nn.Module, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> Path:
    path = tmp_path / "model.onnx"
    write_onnx(network, path, example=BYTES, opset=18, facts={"classes": '["Hündin"]'})
    assert not [str(warning.message) for warning in recwarn.list]
    return path


def test_the_file_is_valid_and_tells_its_opset_and_facts(file: Path) -> None:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    assert {item.key: item.value for item in model.metadata_props} == {"classes": '["Hündin"]'}


def test_the_file_takes_bytes_of_any_batch(file: Path) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("images", "tensor(uint8)", ["batch", 3, 8, 8])
    for batch in (1, 2, 7):
        (answer,) = session.run(["logits"], {"images": np.zeros((batch, 3, 8, 8), np.uint8)})
        assert answer.shape == (batch, 3)


def test_the_file_answers_as_the_network(file: Path, network: nn.Module) -> None:
    with torch.inference_mode():
        expected = network(torch.from_numpy(PIXELS)).numpy()
    np.testing.assert_allclose(OnnxRunner(file)(PIXELS), expected, atol=1e-5)


def test_without_its_normalisation_the_file_takes_floats(file: Path, network: nn.Module, tmp_path: Path) -> None:
    bare, scaling = tmp_path / "bare.onnx", Scaling.of(network)
    write_onnx(network.net, bare, example=BYTES.float(), opset=18, facts={})
    session = onnxruntime.InferenceSession(str(bare), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == "tensor(float)"
    np.testing.assert_allclose(OnnxRunner(bare, scaling)(PIXELS), OnnxRunner(file)(PIXELS), atol=1e-5)


def test_the_scaling_is_that_of_the_network(network: nn.Module) -> None:
    scaling = Scaling.of(network)
    np.testing.assert_allclose(scaling.scale, 1 / (255 * np.array([0.2, 0.3, 0.4])), rtol=1e-6)
    np.testing.assert_allclose(scaling.shift, [-2.5, -4 / 3, -0.75], rtol=1e-6)
    np.testing.assert_array_equal(scaling(PIXELS), network.normalize(torch.from_numpy(PIXELS)).numpy())


def test_the_file_holds_no_path_of_this_machine(file: Path) -> None:
    content = file.read_bytes()
    assert b".py" not in content
    assert str(Path(__file__).parents[2]).encode() not in content


def test_the_same_network_gives_the_same_bytes(file: Path, network: nn.Module, tmp_path: Path) -> None:
    write_onnx(network, tmp_path / "again.onnx", example=BYTES, opset=18, facts={"classes": '["Hündin"]'})
    assert file.read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UserError, match=r"^exporting needs onnxscript, not installed: pip install 'fovea\[export\]'$"):
        check_installed()
