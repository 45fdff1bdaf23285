"""What saving the state of training every 50 steps costs: ResNet-18 at 64 pixels. Claim: at most 3 % of throughput.

Both sides are the same training through the project's own loop, on made-up pictures in memory, in one process and in
turn; the peer saves at the ends of its epochs alone, which neither side's time includes.

    python benchmarks/checkpointing.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import PROJECT, keep

_PAIRS = 4
_STEPS = 102  # the states after 50 and after 100 fall into the time
_EVERY = 50
_BATCH = 64
_SIDE = 64


def main() -> None:
    """Alternates the two sides."""
    from fovea.training import checkpoint_store

    seconds: list[float] = []
    sizes: list[int] = []
    write = checkpoint_store.CheckpointStore.save_checkpoint

    def measured(store: Any, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        start = time.perf_counter()
        write(store, checkpoint, path, storage_options)
        seconds.append(time.perf_counter() - start)
        sizes.append(Path(path).stat().st_size)

    checkpoint_store.CheckpointStore.save_checkpoint = measured  # type: ignore[method-assign]
    prepared = _Made()
    _rate(prepared, None)
    pairs = [(_rate(prepared, _EVERY), _rate(prepared, None)) for _ in range(_PAIRS)]
    ratios = [ours / peer for ours, peer in pairs]
    row = {
        "what": f"resnet18 at 64 px, batch {_BATCH}, saved every {_EVERY} steps",
        "images/s": round(statistics.median(ours for ours, _ in pairs), 1),
        "peer images/s": round(statistics.median(peer for _, peer in pairs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "least ratio": round(min(ratios), 3),
        "checkpoint MB": round(max(sizes) / 1e6, 1),
        "seconds a save": round(statistics.median(seconds), 3),
    }
    keep("checkpointing", [row])


def _rate(prepared: _Made, every: int | None) -> float:
    from fovea.config.compose import compose
    from fovea.pipelines.train.nodes import SECTIONS
    from fovea.training.fit import fit
    from fovea.training.job import TrainJob

    overrides = [
        "experiment=imagenette",
        "augment=none",
        "trainer.max_epochs=1",
        f"loader.batch_size={_BATCH}",
        "loader.cache=none",
        "callbacks.progress=none",
        "callbacks.checkpoint.every_minutes=null",
        f"callbacks.checkpoint.every_n_steps={'null' if every is None else every}",
    ]
    config = compose(PROJECT / "conf", overrides).config
    config["data"]["classes"] = prepared.meta.classes
    job = TrainJob.parse({section: config[section] for section in SECTIONS})
    rates: list[float] = []

    def remember(metrics: Mapping[str, float], step: int | None = None) -> None:
        rates.append(metrics["throughput/images_per_second"])

    run: Any = SimpleNamespace(log_metrics=remember, log_text=lambda *_: None)
    with tempfile.TemporaryDirectory(dir=PROJECT / "data", prefix="bench-") as folder:
        fit(job, prepared, Path(folder), run)  # type: ignore[arg-type]
    return rates[-1]


class _Part:
    """Made-up pictures, as `fovea.shards.Split` gives them."""

    encoded = False

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.sizes = np.full((count, 2), _SIDE, np.int32)
        self.labels = np.arange(count, dtype=np.int64) % 10
        self.keys = np.arange(count, dtype=np.uint64)
        self.ids = [str(row) for row in range(count)]
        self._images = np.random.default_rng(0).integers(0, 256, (count, _SIDE, _SIDE, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def parts(self) -> list[Any]:
        return [(self, np.arange(len(self)))]

    def images(self) -> Any:
        return self._images

    def image(self, row: int, **_: Any) -> Any:
        return self._images[row]


class _Made:
    """Made-up data, as `fovea.shards.PreparedData` gives them."""

    path = Path("made-up")

    def __init__(self) -> None:
        self._splits = {"train": _Part("train", _STEPS * _BATCH), "val": _Part("val", _BATCH)}
        self.meta = SimpleNamespace(
            name="imagenette",
            classes=[str(label) for label in range(10)],
            channels=3,
            image_size=_SIDE,
            settings={},
            quality={},
            counts={name: len(split) for name, split in self._splits.items()},
            digest="0" * 64,
        )

    @property
    def origin(self) -> _Made:
        return self

    def split(self, name: str) -> _Part:
        return self._splits[name]


if __name__ == "__main__":
    main()
