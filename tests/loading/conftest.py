"""A small data set in memory, with the interface of the prepared one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fovea.config.schema import AugmentConfig, LoaderConfig
from fovea.loading.datamodule import PictureDataModule


@dataclass
class FakeSplit:
    """Picture `i` has the value `i` in its first pixel; its label is `i % 10`."""

    name: str
    count: int
    channels: int = 1
    size: int = 8
    encoded: bool = False
    labels: np.ndarray = field(init=False)
    keys: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.ids = [f"{self.name}/{i}" for i in range(self.count)]
        self.labels = np.arange(self.count, dtype=np.int64) % 10
        self.keys = np.array([_key(name) for name in self.ids], dtype=np.uint64)
        shape = (self.count, self.size, self.size, self.channels)
        self._images = np.random.default_rng(self.count).integers(0, 256, shape, dtype=np.uint8)
        self._images[:, 0, 0, 0] = np.arange(self.count) % 256
        self._images.flags.writeable = False

    def __len__(self) -> int:
        return self.count

    def image(self, row: int) -> np.ndarray:
        return self._images[row]

    def images(self) -> np.ndarray | None:
        return None if self.encoded else self._images


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


@dataclass
class FakePrepared:
    train: FakeSplit
    val: FakeSplit
    test: FakeSplit

    def split(self, name: str) -> FakeSplit:
        split: FakeSplit = getattr(self, name)
        return split


def _facts(prepared: Any) -> dict[str, int]:
    height, _, channels = prepared.split("train").image(0).shape
    return {"channels": channels, "image_size": height}


AFFINE = [{"_target_": "albumentations.Affine", "rotate": [-30, 30], "scale": [0.8, 1.2], "p": 0.9}]


def make_module(prepared: FakePrepared | None = None, **options: Any) -> PictureDataModule:
    """A data module over `prepared`, by default 50 training, 23 validation and 7 test pictures."""
    if prepared is None:
        prepared = FakePrepared(FakeSplit("train", 50), FakeSplit("val", 23), FakeSplit("test", 7))
    data = SimpleNamespace(name="fake", **_facts(prepared))
    loader = LoaderConfig(
        batch_size=options.pop("batch_size", 8),
        eval_batch_size=options.pop("eval_batch_size", 10),
        num_workers=options.pop("num_workers", 0),
    )
    augment = AugmentConfig(train=options.pop("train", []))
    seed = options.pop("seed", 0)
    return PictureDataModule(prepared, data=data, loader=loader, augment=augment, seed=seed, **options)  # type: ignore[arg-type]


@pytest.fixture
def prepared() -> FakePrepared:
    return FakePrepared(FakeSplit("train", 50), FakeSplit("val", 23), FakeSplit("test", 7))


@pytest.fixture
def encoded() -> FakePrepared:
    """The same pictures, to be decoded one by one."""
    return FakePrepared(*(FakeSplit(n, k, encoded=True) for n, k in (("train", 50), ("val", 23), ("test", 7))))


@pytest.fixture
def split() -> Callable[..., FakeSplit]:
    """Makes a split."""
    return FakeSplit


@pytest.fixture
def module() -> Callable[..., PictureDataModule]:
    """Makes a data module."""
    return make_module


@pytest.fixture
def affine() -> list[dict[str, Any]]:
    """A `train` list of the augment section."""
    return AFFINE
