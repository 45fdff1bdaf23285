"""A small network, test pictures, and the run that takes what the export stage logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fovea import tracking
from fovea.export import latency
from fovea.models.normalize import NormalizedNet

CLASSES = ["<cat>", "Hündin", "3"]


class Split:
    """Twenty-one coloured pictures of 8x8 pixels."""

    encoded = False
    labels = np.arange(21) % 3
    pixels = np.random.default_rng(0).integers(0, 256, (21, 8, 8, 3)).astype(np.uint8)

    def __len__(self) -> int:
        return 21

    def images(self) -> np.ndarray:
        return self.pixels

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> np.ndarray:
        return self.pixels[row]


class Photos(Split):
    """The same number of pictures, of different sizes."""

    encoded = True
    sizes = np.random.default_rng(1).integers(6, 40, (21, 2))

    def images(self) -> None:
        return None

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> np.ndarray:
        return np.random.default_rng(row).integers(0, 256, (*self.sizes[row], 3), dtype=np.uint8)


@pytest.fixture
def split() -> Split:
    return Split()


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(16, 3),
    )
    return NormalizedNet(net, [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]).eval()


@pytest.fixture
def model(network: nn.Module, tmp_path: Path) -> Any:
    data = {"name": "pets", "classes": CLASSES, "channels": 3, "image_size": 8}
    facts = {"run_name": "net-pets-0123abcd", "data": data, "data_digest": "ab" * 32}
    return SimpleNamespace(path=tmp_path, facts=facts, network=lambda: network)


@pytest.fixture
def prepared(split: Split, tmp_path: Path) -> Any:
    meta = SimpleNamespace(name="pets", classes=tuple(CLASSES), channels=3, image_size=8)
    return SimpleNamespace(path=tmp_path, meta=meta, split=lambda name: split)


@pytest.fixture
def photos(tmp_path: Path) -> Any:
    """Prepared data of pictures of any size."""
    meta = SimpleNamespace(name="pets", classes=tuple(CLASSES), channels=3, image_size=None)
    return SimpleNamespace(path=tmp_path, meta=meta, split=lambda name: Photos())


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the stage gave to the run: `files`, the artifacts, and `metrics`."""
    given = SimpleNamespace(files=set(), metrics={})
    run = SimpleNamespace(
        log_artifacts=lambda path, folder: given.files.update(f"{folder}/{file.name}" for file in path.iterdir()),
        log_metrics=given.metrics.update,
    )

    @contextmanager
    def stage(name: str, record: Path) -> Iterator[Any]:
        assert (name, record.name) == ("export", "run.json")
        yield run

    monkeypatch.setattr(tracking, "stage", stage)
    monkeypatch.setattr(latency, "_MOST", 3)
    return given
