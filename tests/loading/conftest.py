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
from fovea.core.errors import RunError
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

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> np.ndarray:
        return self._images[row]

    def images(self) -> np.ndarray | None:
        return None if self.encoded else self._images

    @property
    def sizes(self) -> np.ndarray:
        return np.array([self.image(row).shape[:2] for row in range(self.count)], np.int32).reshape(-1, 2)


class RaggedSplit(FakeSplit):
    """Encoded pictures of many sizes. `asked` counts how often each was decoded; row `broken` cannot be."""

    def __init__(self, name: str, count: int, channels: int = 3, broken: int | None = None) -> None:
        super().__init__(name, count, channels, encoded=True)
        self.broken = broken
        self.asked: list[tuple[int, int | None, bool]] = []
        draw = np.random.default_rng(count)
        self._images = [
            draw.integers(0, 256, (int(draw.integers(8, 40)), int(draw.integers(8, 40)), channels), dtype=np.uint8)
            for _ in range(count)
        ]

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> np.ndarray:
        if row == self.broken:
            raise RunError(f"picture '{self.ids[row]}' cannot be read")
        self.asked.append((row, least_side, fast))
        image = self._images[row]
        half = [-(-side // 2) for side in image.shape[:2]]
        image = image[::2, ::2] if least_side is not None and min(half) >= least_side else image
        return 255 - image if fast else image

    @property
    def sizes(self) -> np.ndarray:
        return np.array([image.shape[:2] for image in self._images], np.int32).reshape(-1, 2)


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


@dataclass
class FakePrepared:
    train: FakeSplit
    val: FakeSplit
    test: FakeSplit
    meta: Any = field(default_factory=lambda: SimpleNamespace(name="fake", digest="0" * 64))

    def split(self, name: str) -> FakeSplit:
        split: FakeSplit = getattr(self, name)
        return split


def _facts(prepared: Any) -> dict[str, int]:
    split = prepared.split("train")
    return {"channels": getattr(split, "channels", 1), "image_size": getattr(split, "size", 32)}


AFFINE = [{"_target_": "albumentations.Affine", "rotate": [-30, 30], "scale": [0.8, 1.2], "p": 0.9}]


def make_module(prepared: FakePrepared | None = None, **options: Any) -> PictureDataModule:
    """A data module over `prepared`, by default 50 training, 23 validation and 7 test pictures."""
    if prepared is None:
        prepared = FakePrepared(FakeSplit("train", 50), FakeSplit("val", 23), FakeSplit("test", 7))
    names = [f"class {c}" for c in range(10)]
    data = SimpleNamespace(**{"name": "fake", "class_names": names, **_facts(prepared), **options.pop("data", {})})
    loader = LoaderConfig(
        batch_size=options.pop("batch_size", 8),
        eval_batch_size=options.pop("eval_batch_size", 10),
        num_workers=options.pop("num_workers", 0),
        prefetch=2,
        sampling=options.pop("sampling", "shuffle"),
        cache=options.pop("cache", "none"),
        fast_decode=options.pop("fast_decode", False),
        scaled_decode=options.pop("scaled_decode", False),
    )
    mix = {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "prob": 1.0, "switch_prob": 0.5, **options.pop("mix", {})}
    augment = AugmentConfig(train=options.pop("train", []), eval=options.pop("eval", []), mix=mix)
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
def ragged() -> FakePrepared:
    """Encoded pictures of many sizes, for a network of 8 x 8 pixels."""
    return FakePrepared(*(RaggedSplit(n, k) for n, k in (("train", 50), ("val", 23), ("test", 7))))


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
