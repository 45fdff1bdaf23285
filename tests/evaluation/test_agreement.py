"""What a model is said to be worth after training is what it was said to be worth during it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fovea.config.compose import compose
from fovea.evaluation.infer import logits
from fovea.evaluation.measuring import val_metrics
from fovea.evaluation.metrics import log_loss
from fovea.evaluation.stage import outcome_of
from fovea.evaluation.view import view_of
from fovea.training import stage
from fovea.training.job import TrainJob
from fovea.training.workfolder import let_go

CONF = Path(__file__).resolve().parents[2] / "conf"
CROP = {"_target_": "albumentations.RandomResizedCrop", "size": [12, 12], "scale": [0.5, 1.0], "p": 1.0}
FLIP = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}
CUT = {"_target_": "albumentations.CropAndPad", "percent": -0.1, "keep_size": False, "sample_independently": False}


class Photos:
    """Coloured pictures of different sizes, as `fovea.shards.Split` gives them: class 1 is bright on the left."""

    encoded = True

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        numbers = np.random.default_rng(count)
        self.labels = np.arange(count, dtype=np.int64) % 2
        self.keys = numbers.integers(2**63, size=count).astype(np.uint64)
        self.ids = [f"{name}-{row}" for row in range(count)]
        self.sizes = numbers.integers(14, 60, (count, 2)).astype(np.int32)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self) -> None:
        return None

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> NDArray[np.uint8]:
        height, width = self.sizes[row].tolist()
        picture = np.random.default_rng(row).integers(0, 140, (height, width, 3), dtype=np.uint8)
        picture[:, : width // 2] += np.uint8(40 * self.labels[row])
        return picture


@pytest.fixture
def prepared(tmp_path: Path) -> Any:
    splits = {"train": Photos("train", 64), "val": Photos("val", 31)}
    meta = SimpleNamespace(
        name="photos",
        classes=("dark", "bright"),
        channels=3,
        image_size=None,
        digest="ab" * 32,
        source_digest="cd" * 32,
    )
    meta.settings = {}
    meta.counts, meta.quality, meta.encoding = {"train": 64, "val": 31, "test": 0}, {}, "encoded"
    found = SimpleNamespace(path=tmp_path / "prepared", meta=meta, split=lambda name: splits[name])
    found.origin, found.address = found, {"prepared": str(found.path)}
    return found


def job_of(**augment: Any) -> TrainJob:
    off = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "prob": 1.0, "switch_prob": 0.5}
    data = {"name": "photos", "source": "image_folder", "channels": 3, "image_size": 12, "classes": None}
    plain = compose(CONF, ["model=fast_mnist", "schedule=constant", "optimizer.lr=0.003"]).config
    plain["data"] = data | {"mean": [0.3] * 3, "std": [0.2] * 3}
    plain["loader"] |= {"batch_size": 16, "eval_batch_size": 10, "num_workers": 0, "prefetch": 1, "cache": "none"}
    plain["augment"] = {"train": [CROP], "eval": [], "mix": off} | augment
    plain["trainer"] |= {"max_epochs": 3, "accelerator": "cpu"}
    plain["callbacks"]["checkpoint"] |= {"every_minutes": None, "keep": "last"}
    plain["callbacks"] |= {"progress": "none"}
    return TrainJob.parse({name: plain[name] for name in TrainJob.model_fields})


@pytest.mark.parametrize("augment", [{}, {"eval": [CUT, FLIP]}, {"mix": {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}}])
def test_validation_and_evaluation_agree(
    prepared: Any, augment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    if "mix" in augment:
        augment = {"mix": {"prob": 1.0, "switch_prob": 0.5, **augment["mix"]}}
    model = stage.train(job_of(**augment), prepared)
    let_go(remove=False)
    assert model.facts["data"]["classes"] == ["dark", "bright"]
    network, val, view = model.network(), prepared.split("val"), view_of(model)
    classes = ["dark", "bright"]
    found = val_metrics(logits(network, val, view, 7), val.labels, classes, 0.95)
    assert found["val/acc"] == pytest.approx(model.facts["val/acc"])
    outcome = outcome_of(network, val, view, classes, 7)
    assert log_loss(outcome.probabilities, outcome.labels) == pytest.approx(model.facts["val/loss"], rel=1e-4)
