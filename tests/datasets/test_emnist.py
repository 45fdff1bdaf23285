from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea.config.schema import DataConfig, parse
from fovea.core.errors import RunError, UserError
from fovea.datasets.emnist import ingest, read

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6, 6), np.uint8)
LABELS = np.array([0, 2, 1, 2], np.uint8)
FILES = {"archive": {"name": "gzip.zip"}, "train_images": {"name": "images.gz"}, "train_labels": {"name": "labels.gz"}}


def config(**changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "name": "tiny",
        "source": "emnist",
        "channels": 1,
        "image_size": 6,
        "classes": ["a", "b", "c"],
        "mean": [0.5],
        "std": [0.5],
        "files": FILES,
    }
    return parse(DataConfig, values | changes, "data")


def idx(values: np.ndarray[Any, Any]) -> bytes:
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(header + values.tobytes(), mtime=0)


def put(root: Path, labels: np.ndarray[Any, Any] = LABELS) -> Path:
    path = root / "data/01_raw/tiny/gzip.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gzip/images.gz", idx(IMAGES))
        archive.writestr("gzip/labels.gz", idx(labels))
    return path


@pytest.mark.parametrize("first", [0, 1])
def test_the_pictures_are_turned_upright_and_labels_count_from_zero(root: Path, first: int) -> None:
    put(root, LABELS + np.uint8(first))
    (train,) = read(ingest(config()), config())
    np.testing.assert_array_equal(train.images, IMAGES.transpose(0, 2, 1)[..., None])
    assert train.labels.tolist() == LABELS.tolist()
    assert (train.split, train.ids[1], train.members[1]) == ("train", "train-000001", "images.gz[1]")


def test_another_part_of_the_archive_is_another_source(root: Path) -> None:
    put(root)
    other = {**FILES, "train_labels": {"name": "others.gz"}}
    assert ingest(config()).digest != ingest(config(files=other)).digest
    with pytest.raises(UserError, match=r"data.files names 'others.gz' but .*; it has images.gz, labels.gz"):
        list(read(ingest(config(files=other)), config(files=other)))


def test_what_does_not_serve_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match=r"data.files lacks 'archive'"):
        ingest(config(files={role: FILES[role] for role in ("train_images", "train_labels")}))
    path = put(root)
    source = ingest(config())
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"gzip.zip' holds a damaged 'images.gz'; get it again"):
        list(read(source, config()))


def test_a_member_that_would_fill_the_memory_is_not_inflated(root: Path) -> None:
    path = put(root)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gzip/images.gz", np.random.default_rng(0).bytes(3 << 20))
        archive.writestr("gzip/labels.gz", idx(LABELS))
    content = bytearray(path.read_bytes())
    entry = content.find(b"PK\1\2")
    content[entry + 24 : entry + 28] = struct.pack("<L", 3_000_000_000)
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"gzip.zip' announces 3,000,000,000 bytes of 'images.gz', more than any file"):
        list(read(ingest(config()), config()))
