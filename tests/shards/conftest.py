"""A project folder, configs, and small pictures."""

from __future__ import annotations

import gzip
import itertools
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fovea.config.schema import DataConfig, PrepareConfig, parse
from fovea.datasets.idx_pairs import ingest
from fovea.datasets.members import PLAIN, Members
from fovea.datasets.samples import Samples, SplitName
from fovea.datasets.source import SourceFiles

SIDE = 4


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an empty project, found through FOVEA_ROOT."""
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    return root


@pytest.fixture
def data() -> Callable[..., DataConfig]:
    """Makes the config of a small data set; changed values are given by name."""

    def make(**changes: Any) -> DataConfig:
        parts = {
            f"{split}_{kind}": {"name": f"{split}-{kind}.gz"}
            for split in ("train", "test")
            for kind in ("images", "labels")
        }
        channels = changes.get("channels", 1)
        values = {
            "name": "tiny",
            "source": "idx",
            "channels": channels,
            "image_size": SIDE,
            "classes": ["a", "b", "c"],
            "mean": [0.5] * channels,
            "std": [0.5] * channels,
            "files": parts,
        }
        return parse(DataConfig, values | changes, "data")

    return make


@pytest.fixture
def config() -> Callable[..., PrepareConfig]:
    """Makes the section `prepare`; changed values are given by name."""

    def make(**changes: Any) -> PrepareConfig:
        values = {
            "seed": 0,
            "test_fraction": 0.2,
            "val_fraction": 0.1,
            "shard_mb": 64,
            "resize": None,
            "quality": 92,
            "max_bad_fraction": 0.5,
            "max_pixels": 1_000_000,
            "max_mb": 1,
            "duplicates": "leave_out",
            "near_distance": 3,
            "leakage": "report",
            "executor": "serial",
            "workers": None,
            "scheduler": None,
        }
        return parse(PrepareConfig, values | changes, "prepare")

    return make


@pytest.fixture
def pictures() -> Callable[..., Samples]:
    """Makes random pictures with labels."""

    def make(
        count: int, *, seed: int = 0, channels: int = 1, split: SplitName | None = None, prefix: str = "p"
    ) -> Samples:
        rng = np.random.default_rng(seed)
        return Samples(
            ids=[f"{prefix}{number:04d}" for number in range(count)],
            members=[f"file[{number}]" for number in range(count)],
            labels=rng.integers(0, 3, count),
            images=rng.integers(0, 256, (count, SIDE, SIDE, channels), np.uint8),
            split=split,
        )

    return make


@pytest.fixture
def drawn() -> Callable[..., np.ndarray]:
    """Makes a picture that no other is like: smooth colours that follow from a number."""

    def make(number: int, *, height: int = 40, width: int = 48, channels: int = 3) -> np.ndarray:
        coarse = np.random.default_rng(number).integers(0, 256, (8, 9, channels), np.uint8)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)

    return make


@pytest.fixture
def encoded(tmp_path: Path) -> Callable[..., Samples]:
    """Makes samples of picture files, which lie one after the other in one file."""
    numbers = itertools.count()

    def make(files: Sequence[bytes], **changes: Any) -> Samples:
        count = len(files)
        path = tmp_path / f"archive-{next(numbers)}"
        path.write_bytes(b"".join(files))
        sizes = np.array([len(file) for file in files], np.int64)
        members = Members(
            files=(path,),
            file=np.zeros(count, np.int32),
            offset=np.cumsum([0, *sizes[:-1]]).astype(np.int64)[:count],
            stored=sizes,
            sizes=sizes,
            kind=np.full(count, PLAIN, np.int8),
            zipped=np.zeros(count, np.bool_),
            crc=np.full(count, -1, np.int64),
        )
        names = [f"{number:04d}.jpg" for number in range(count)]
        values: dict[str, Any] = {"ids": names, "members": names, "labels": np.arange(count) % 3}
        return Samples(**{**values, "images": members, "encoding": "encoded", **changes})

    return make


@pytest.fixture
def photos(drawn: Callable[..., np.ndarray], encoded: Callable[..., Samples]) -> Callable[..., Samples]:
    """Makes samples of JPEG files that differ."""

    def make(count: int, *, first: int = 0, **changes: Any) -> Samples:
        return encoded([jpeg(drawn(first + number)) for number in range(count)], **changes)

    return make


def jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """The picture, uint8 [H, W, C] in RGB, as a JPEG file."""
    return bytes(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


@pytest.fixture
def source(root: Path, data: Callable[..., DataConfig]) -> SourceFiles:
    """120 training and 30 test pictures as IDX files placed by hand."""
    folder = root / "data" / "01_raw" / "tiny"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    for split, count in (("train", 120), ("test", 30)):
        for kind, values in (
            ("images", rng.integers(0, 256, (count, SIDE, SIDE), np.uint8)),
            ("labels", rng.integers(0, 3, count).astype(np.uint8)),
        ):
            header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
            (folder / f"{split}-{kind}.gz").write_bytes(gzip.compress(header + values.tobytes(), mtime=0))
    return ingest(data())
