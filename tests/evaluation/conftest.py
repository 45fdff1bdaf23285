"""Stand-ins for prepared data and a trained model, small enough to know every number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from fovea.models.layer_rows import LayerRow

CLASSES = ["ant", "bee", "cat"]
SIZE = 4


class Brightness(nn.Module):
    """Class 0 for dark, 1 for grey and 2 for bright pictures; logits fall with the distance from 0, 127 and 255."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        level = images.float().mean(dim=(1, 2, 3))
        return -((level[:, None] - torch.tensor([0.0, 127.0, 255.0])) / 50).abs()


@dataclass
class FakeSplit:
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    in_one_piece: bool = True

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ids(self) -> list[str]:
        return [f"picture-{row}" for row in range(len(self))]

    @property
    def encoded(self) -> bool:
        return not self.in_one_piece

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> NDArray[np.uint8]:
        return self.pixels[row]

    def images(self) -> NDArray[np.uint8] | None:
        return self.pixels if self.in_one_piece else None


@dataclass
class FakePrepared:
    path: Path
    splits: dict[str, FakeSplit]
    classes: Sequence[str] = tuple(CLASSES)
    name: str = "insects"
    image_size: int | None = SIZE

    @property
    def meta(self) -> SimpleNamespace:
        return SimpleNamespace(
            name=self.name,
            classes=self.classes,
            channels=1,
            image_size=self.image_size,
            counts={name: len(split) for name, split in self.splits.items()},
            digest="ab" * 32,
        )

    def split(self, name: str) -> FakeSplit:
        return self.splits[name]


@dataclass
class FakeModel:
    path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    net: nn.Module = field(default_factory=Brightness)

    def network(self) -> nn.Module:
        return self.net.eval()


def split_of(levels: Sequence[int], labels: Sequence[int], *, in_one_piece: bool = True) -> FakeSplit:
    pixels = np.repeat(np.array(levels, np.uint8), SIZE * SIZE).reshape(-1, SIZE, SIZE, 1)
    return FakeSplit(pixels, np.array(labels, np.int64), in_one_piece)


@pytest.fixture
def make_split() -> Callable[..., FakeSplit]:
    return split_of


@pytest.fixture
def prepared(tmp_path: Path) -> FakePrepared:
    """Eight test pictures, of which the network gets six right, and two of validation, both right."""
    test = split_of([0, 10, 120, 130, 250, 255, 255, 0], [0, 0, 1, 1, 2, 2, 0, 1])
    return FakePrepared(tmp_path / "prepared", {"test": test, "val": split_of([0, 255], [0, 2]), "train": test})


@pytest.fixture
def model(tmp_path: Path) -> FakeModel:
    path = tmp_path / "model"
    path.mkdir()
    facts = {
        "run_name": "net-insects-0123abcd",
        "model": {"name": "net"},
        "data": {"name": "insects", "classes": CLASSES, "channels": 1, "image_size": SIZE},
        "data_digest": "ab" * 32,
        "epoch": 1,
        "layers": [LayerRow("net", "Linear", (3,), 1200, 1100, (4, 4), (1, 1)).plain()],
    }
    return FakeModel(path, facts)
