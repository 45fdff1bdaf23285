"""The real digits, prepared, and a network that has not learnt anything yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fovea.models.layer_rows import LayerRow

_LAYER = LayerRow("features.0", "Conv2d", (6, 28, 28), 156, 117_600, (5, 5), (1, 1))


@pytest.fixture(scope="session")
def conf(project: Path) -> dict[str, Any]:
    """The sections of the config that the tests need, as `conf/` gives them."""

    def read(name: str) -> dict[str, Any]:
        return yaml.safe_load((project / "conf" / name).read_text())

    whole = read("config.yaml")
    sections = {name: whole[name] for name in ("evaluate", "export", "predict", "prepare")}
    return {**sections, "data": read("data/digits.yaml"), "model": read("model/lenet5.yaml")}


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory, conf: dict[str, Any]) -> Any:
    """The digits as `ingest` and `prepare` give them, in a project of their own."""
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare

    root = tmp_path_factory.mktemp("project")
    (root / "conf").mkdir()
    (root / "pyproject.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOVEA_ROOT", str(root))
        return prepare(ingest(conf["data"]), conf["data"], conf["prepare"])


@pytest.fixture
def untrained(tmp_path: Path, conf: dict[str, Any], digits: Any) -> Any:
    """A LeNet-5 with its first weights, as a trained model."""
    import torch
    from safetensors.torch import save_file

    from fovea.config.schema import DataConfig, ModelConfig, parse
    from fovea.training import TrainedModel
    from fovea.training.network import build_network

    data = parse(DataConfig, conf["data"], "data")
    torch.manual_seed(0)
    network = build_network(parse(ModelConfig, conf["model"], "model"), data)
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(network.state_dict(), folder / "model.safetensors")
    facts = {"run_name": "lenet5-digits-0123abcd", "model": conf["model"], "data": data.model_dump(mode="json")}
    facts |= {"data_digest": digits.meta.digest, "epoch": 0, "layers": [_LAYER.plain()]}
    (folder / "model.json").write_text(json.dumps(facts))
    return TrainedModel.open(folder)


@pytest.fixture
def answers(digits: Any, untrained: Any) -> np.ndarray:
    """The class that the network gives each test picture, found without Fovea's evaluation."""
    import torch

    pixels = torch.tensor(np.array(digits.split("test").images())).permute(0, 3, 1, 2)
    with torch.no_grad():
        return untrained.network()(pixels).argmax(dim=1).numpy()
