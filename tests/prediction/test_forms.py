"""Every form that a model may lie in answers alike, and brings its classes and preprocessing with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import save_file

from fovea.config.schema import DataConfig, ModelConfig, parse
from fovea.core.errors import UserError
from fovea.prediction.forms import open_path
from fovea.training.network import build_network

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1)).astype(np.uint8)
CROP = {"_target_": "albumentations.CenterCrop", "height": 20, "width": 20}
CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A folder of `model`, a LeNet-5 with its first weights; `work`, as a training has it under way; and exports."""
    root = tmp_path_factory.mktemp("models")
    conf = {
        name: yaml.safe_load((project / "conf" / file).read_text())
        for name, file in (("data", "data/digits.yaml"), ("model", "model/lenet5.yaml"))
    }
    data = parse(DataConfig, conf["data"], "data")
    torch.manual_seed(0)
    network = build_network(parse(ModelConfig, conf["model"], "model"), data).eval()
    facts = {"run_name": "lenet5-digits-0123abcd", "model": conf["model"], "data": data.model_dump(mode="json")}
    facts["config"] = {"augment": {"eval": [CROP]}}
    (root / "model").mkdir()
    save_file(network.state_dict(), root / "model" / "model.safetensors")
    (root / "model" / "model.json").write_text(json.dumps(facts))
    (root / "model" / "run.json").write_text(
        json.dumps({"run_key": "k", "run_id": "ab" * 16, "name": "n", "experiment": "e", "uri": "sqlite:///x"})
    )
    _work(root / "work", network, facts)
    _export(root / "export", network, facts, root / "model")
    return root


def _work(folder: Path, network: torch.nn.Module, facts: dict[str, Any]) -> None:
    folder.mkdir()
    job = {"model": facts["model"], "data": facts["data"], "augment": {"eval": [CROP]}}
    (folder / "resolved.yaml").write_text(yaml.safe_dump({"job": job}))
    state = {f"net.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "loops": {}, "epoch": 1}, folder / "step-00000010.ckpt")
    save_file(network.state_dict(), folder / "best-epoch-0001.safetensors")


def _export(folder: Path, network: Any, facts: dict[str, Any], model: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from fovea.export.onnx import write_onnx
    from fovea.export.origin import Origin
    from fovea.export.pyfunc import write_pyfunc
    from fovea.export.stage import description
    from fovea.serving.scaling import Scaling
    from fovea.training import TrainedModel

    trained, origin, scaling = TrainedModel(model, facts), Origin("ab" * 16, 1.5), Scaling.of(network)
    folder.mkdir()
    kinds = (("model.onnx", network, torch.uint8, None), ("beside.onnx", network.net, torch.float32, scaling))
    for name, net, kind, beside in kinds:
        texts = description(trained, beside, origin)
        write_onnx(net, folder / name, example=torch.zeros(2, 1, 28, 28, dtype=kind), opset=18, facts=texts)
    write_pyfunc(folder / "pyfunc", folder / "model.onnx", trained, None, PICTURES[0], origin)


@pytest.fixture(scope="module")
def expected(made: Path) -> NDArray[np.float32]:
    from fovea.training import TrainedModel

    with torch.no_grad():
        return TrainedModel.open(made / "model").network()(torch.tensor(PICTURES).permute(0, 3, 1, 2)).numpy()


@pytest.mark.parametrize(
    "name",
    [
        "model",
        "model/model.safetensors",
        "work/step-00000010.ckpt",
        "work/best-epoch-0001.safetensors",
        "export",
        "export/model.onnx",
        "export/beside.onnx",
        "export/pyfunc",
    ],
)
def test_all_forms_answer_alike(made: Path, expected: NDArray[np.float32], name: str) -> None:
    predictor = open_path(made / name)
    predictor.check()
    np.testing.assert_allclose(predictor.logits(PICTURES), expected, atol=1e-5)
    assert (list(predictor.classes), predictor.channels) == (CLASSES, 1)
    assert predictor.view.identity["transforms"] == [CROP]
    assert predictor.view.image_size == 28
    if name.startswith("export"):
        assert (predictor.run_id, predictor.temperature) == ("ab" * 16, 1.5)
    elif name.startswith("model"):
        assert (predictor.words, predictor.run_id) == ("lenet5-digits-0123abcd", "ab" * 16)
    else:
        assert predictor.words == f"work, {Path(name).name}"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def _facts(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    facts = json.loads((folder / "model.json").read_text())
    change(facts)
    (folder / "model.json").write_text(json.dumps(facts))


def test_a_model_made_for_another_size_is_refused(copy: Path) -> None:
    _facts(copy / "model", lambda facts: facts["data"].update(image_size=40))
    with pytest.raises(UserError, match=r"predict\.model: .*holds the weights of another network .*size mismatch"):
        open_path(copy / "model")


def test_a_model_made_for_other_channels_is_refused(copy: Path) -> None:
    _facts(copy / "model", lambda facts: facts["data"].update(channels=3, mean=[0.5] * 3, std=[0.5] * 3))
    with pytest.raises(UserError, match=r"predict\.model: .*holds the weights of another network"):
        open_path(copy / "model")


def test_an_exported_model_made_for_another_size_is_refused(copy: Path) -> None:
    facts = next((copy / "export" / "pyfunc").glob("data/*/classifier.json"))
    facts.write_text(facts.read_text().replace('"image_size": 28', '"image_size": 32'))
    with pytest.raises(UserError, match="does not take the grey pictures of 32x32 pixels that it is said to be made"):
        open_path(copy / "export" / "pyfunc").check()


def test_an_exported_model_of_other_classes_is_refused(copy: Path) -> None:
    facts = next((copy / "export" / "pyfunc").glob("data/*/classifier.json"))
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"classes": ["one", "two"]}))
    with pytest.raises(UserError, match="gives 10 numbers for a picture, but 2 classes are named with it"):
        open_path(copy / "export" / "pyfunc").check()


def test_a_checkpoint_of_another_network_is_refused(copy: Path) -> None:
    torch.save({"state_dict": {"net.scale": torch.zeros(1)}}, copy / "work" / "step-00000010.ckpt")
    with pytest.raises(UserError, match=r"holds the weights of another network than '.*resolved\.yaml' tells of"):
        open_path(copy / "work" / "step-00000010.ckpt")


class _Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("import pathlib; pathlib.Path('harm').touch()",))


def test_code_in_a_checkpoint_is_not_run(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "harm": _Harm()}, copy / "work" / "step-00000010.ckpt")
    with pytest.raises(UserError, match="holds code beside its tensors, and none of it has been run"):
        open_path(copy / "work" / "step-00000010.ckpt")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("work", "the folder '.*work' holds no model; name one of the checkpoints in it"),
        ("empty", "the folder '.*empty' holds no model; name a folder with model.json, model.onnx or MLmodel"),
        ("foreign", "the MLflow model '.*foreign' was not exported by Fovea"),
        ("alone.safetensors", "has weights alone, and neither model.json nor resolved.yaml beside it"),
        ("text.onnx", "is no ONNX file or is damaged"),
        ("text.txt", r"is no model; models are read from \.onnx, \.safetensors"),
        ("damaged", "damaged"),
        ("bad", "is not a safetensors file or is damaged"),
    ],
)
def test_what_is_no_model_is_refused(copy: Path, name: str, words: str) -> None:
    (copy / "empty").mkdir()
    (copy / "foreign").mkdir()
    (copy / "foreign" / "MLmodel").touch()
    shutil.copy(copy / "model" / "model.safetensors", copy / "alone.safetensors")
    for text in ("text.onnx", "text.txt"):
        (copy / text).write_text("hello")
    shutil.copytree(copy / "model", copy / "damaged")
    (copy / "damaged" / "model.json").write_text("{")
    shutil.copytree(copy / "model", copy / "bad")
    (copy / "bad" / "model.safetensors").write_bytes(b"hello")
    with pytest.raises(UserError, match=words):
        open_path(copy / name)


def test_an_onnx_file_from_elsewhere_is_refused(copy: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(copy / "export" / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, copy / "other.onnx")
    with pytest.raises(
        UserError, match=r"'.*other\.onnx' names no classes in its metadata, so that it was not exported"
    ):
        open_path(copy / "other.onnx")
