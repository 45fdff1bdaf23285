"""A small job on small made-up data: ten classes, each a bright square at a place of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fovea.config.compose import compose
from fovea.training.job import TrainJob

CONF = Path(__file__).resolve().parents[2] / "conf"
# What decides these tests; every other key is that of `conf/`.
CHANGES: dict[str, Any] = {
    "seed": 0,
    "data": {
        "name": "squares",
        "source": "idx",
        "channels": 1,
        "image_size": 12,
        "classes": [str(label) for label in range(10)],
        "mean": [0.1],
        "std": [0.3],
    },
    "loader": {
        "batch_size": 16,
        "eval_batch_size": 50,
        "num_workers": 0,
        "prefetch": 2,
        "sampling": "shuffle",
        "cache": "none",
        "fast_decode": True,
        "scaled_decode": True,
    },
    "augment": {
        "train": [],
        "eval": [],
        "mix": {"mixup_alpha": 0.0, "cutmix_alpha": 0.0, "prob": 1.0, "switch_prob": 0.5},
    },
    "model": {"name": "deep_mnist", "init": "he", "dropout": 0.3},
    "optimizer": {
        "name": "adam",
        "lr": 0.003,
        "lr_scaling": "none",
        "lr_base_batch": 256,
        "weight_decay": 0.0,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
    },
    "schedule": {"name": "one_cycle", "peak_at": 0.3, "start_factor": 0.1, "end_factor": 0.001},
    "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    "callbacks": {
        "checkpoint": {
            "every_n_steps": None,
            "every_minutes": None,
            "keep": "best",
            "monitor": "val/acc",
            "mode": "max",
        },
        "progress": "lines",
    },
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the nested `changes` in place."""
    return {
        **base,
        **{
            key: merged(base[key], value) if isinstance(value, Mapping) and isinstance(base.get(key), dict) else value
            for key, value in changes.items()
        },
    }


SECTIONS = merged(
    {name: value for name, value in compose(CONF).config.items() if name in TrainJob.model_fields}, CHANGES
)


@pytest.fixture
def make_job() -> Callable[..., TrainJob]:
    """Makes a job; keyword arguments change sections: `make_job(trainer={"max_epochs": 3})`."""
    return lambda **changes: TrainJob.parse(merged(SECTIONS, changes))


class Squares:
    """A split of made-up pictures, as `fovea.shards.Split` gives them."""

    encoded = False

    def __init__(self, count: int, seed: int) -> None:
        self.name = str(seed)
        self.sizes = np.full((count, 2), 12, np.int32)
        random = np.random.default_rng(seed)
        self.labels: npt.NDArray[np.int64] = np.arange(count, dtype=np.int64) % 10
        self.keys = np.arange(count, dtype=np.uint64) + np.uint64(1000 * seed)
        self.ids = [f"{seed}-{row}" for row in range(count)]
        self._images = random.integers(0, 40, (count, 12, 12, 1), dtype=np.uint8)
        for row, label in enumerate(self.labels.tolist()):
            top, left = 3 * (label // 4), 3 * (label % 4)
            self._images[row, top : top + 3, left : left + 3] += 180

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def parts(self) -> list[Any]:
        return [(self, np.arange(len(self)))]

    def images(self) -> npt.NDArray[np.uint8]:
        return self._images

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> npt.NDArray[np.uint8]:
        return self._images[row]


class SquaresPrepared:
    """Prepared data of made-up pictures, as `fovea.shards.PreparedData` gives them."""

    path = Path("made-up")
    address: Mapping[str, Any] = {"prepared": "made-up"}
    meta = SimpleNamespace(
        name="squares",
        classes=[str(label) for label in range(10)],
        channels=1,
        image_size=12,
        settings={},
        quality={},
        counts={"train": 200, "val": 50, "test": 50},
        digest="d" * 64,
        source_digest="e" * 64,
    )

    @property
    def origin(self) -> SquaresPrepared:
        return self

    def split(self, name: str) -> Squares:
        return Squares(200, 1) if name == "train" else Squares(50, 2 if name == "val" else 3)


@pytest.fixture(scope="session")
def squares() -> SquaresPrepared:
    """Made-up prepared data: 200 pictures to train on, 50 to validate, 50 to test."""
    return SquaresPrepared()


class MemoryRun:
    """Keeps what a tracking run would be told."""

    def __init__(self) -> None:
        self.metrics: list[tuple[int | None, dict[str, float]]] = []
        self.texts: dict[str, str] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.metrics.append((step, metrics))

    def log_text(self, text: str, name: str) -> None:
        self.texts[name] = text


@pytest.fixture
def memory_run() -> MemoryRun:
    """A run that remembers."""
    return MemoryRun()
