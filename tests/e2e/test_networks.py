"""Networks by name and weights to begin with, as a user asks for them: taken, or refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

SHORT = "trainer: {max_epochs: 1, limit_batches: 2}\nloader: {batch_size: 8, num_workers: 0}\nevaluate: {gallery: 0}\n"


@pytest.fixture(scope="module")
def prepared(make_project: Callable[..., Any]) -> Any:
    """A copy of the project with prepared digits and some files of weights."""
    made = make_project("networks", SHORT)
    made.run("kedro", "run", "--pipelines=ingest,prepare")
    torch.save(torch.nn.Linear(1, 1), made.root / "code.pth")
    save_file({"a": torch.zeros(1)}, made.root / "other.safetensors")
    (made.root / "cut.pth").write_bytes(b"PK\x03\x04")
    return made


@pytest.mark.parametrize(
    ("overrides", "code", "sentence"),
    [
        ("model=resnet81", 2, "unknown model 'resnet81'; did you mean 'resnet18'?"),
        ("model=timm model.name=resnet81", 2, "model.name 'resnet81' is none of timm's "),
        ("model=vgg16", 2, "model 'vgg16' takes pictures of 32x32 pixels or more but data 'digits' has 28x28;"),
        ("model=timm model.name=densenet121", 2, "model 'densenet121' takes no pictures of 28x28 pixels ("),
        ("finetune=full model=resnet18 model.weights=none.pth", 2, "model.weights is 'none.pth' but '"),
        (
            "finetune=full model=resnet18 model.weights=other.safetensors",
            2,
            "/other.safetensors' holds the weights of another network: 0 of ",
        ),
        (
            "finetune=full model=resnet18 model.weights=code.pth",
            2,
            "/code.pth' holds code beside its tensors, and none of it has been run;",
        ),
        (
            "finetune=full model=resnet18 model.weights=cut.pth",
            2,
            "/cut.pth' is not a file of tensors or is damaged; get it again",
        ),
        (
            "finetune=full model=resnet18 model.weights=cut.pth model.sha256=00000000",
            2,
            ", but model.sha256 says 00000000; get the right file",
        ),
        (
            "finetune=full model=resnet18 model.weights=imagenet",
            1,
            "resnet18-f37072fd.pth could not be had (https://download.",
        ),
    ],
)
def test_a_wrong_network_or_weights_leave_nothing_behind(
    prepared: Any, overrides: str, code: int, sentence: str
) -> None:
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    said = prepared.refused("kedro", "run", *overrides.split(), code=code, before=prepared.outputs(), **nowhere)
    assert sentence in said
    assert prepared.runs() == []
    assert not (prepared.root / "data/06_models").exists()


@pytest.mark.realdata
def test_published_weights_then_the_trained_model_as_weights(make_project: Callable[..., Any], real_data: Path) -> None:
    archive = "{name: kagglecatsanddogs_mini.zip, sha256: null, bytes: null}"
    made = make_project("weights", f"{SHORT}data: {{image_size: 64, files: {{archive: {archive}}}}}\n")
    command = ("kedro", "run", "data=cats_vs_dogs", "model=efficientnet_lite0", "finetune=full", "optimizer.lr=1e-8")
    made.run(*command, "model.weights=imagenet", FOVEA_MIRROR=str(real_data))
    first = json.loads((made.root / "data/06_models/model/model.json").read_text())
    assert first["model"]["sha256"].startswith("57934424")
    assert first["model"]["mean"] == [127 / 255] * 3
    assert first["parameters"] == 4_652_008 - 998 * 1281
    mine = (made.root / "data/06_models/model").rename(made.root / "mine")
    made.run(*command, "model.weights=mine", "optimizer.lr=1e-12", FOVEA_MIRROR=str(real_data))
    second = json.loads((made.root / "data/06_models/model/model.json").read_text())
    assert second["model"]["mean"] == first["model"]["mean"]
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (made.root / "data/06_models/model", mine))
    learned = [name for name in ours if name.endswith(("weight", "bias")) and "running" not in name]
    assert len(learned) == 149
    for name in learned:
        torch.testing.assert_close(ours[name], theirs[name])
