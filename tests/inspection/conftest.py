"""Prepared data made by hand: shards, a manifest and a quarantine with what a test wants in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MANIFEST = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "member")),
        ("label", pa.int32()),
        *((name, pa.string()) for name in ("class_name", "split", "status", "reason", "format", "named_as", "mode")),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("turn", pa.int8()),
        ("converted", pa.bool_()),
        ("bytes", pa.int64()),
        *((name, pa.string()) for name in ("sha256", "phash", "dhash")),
        ("brightness", pa.float32()),
        *((name, pa.string()) for name in ("duplicate_of", "similarity", "conflict_with", "leaks", "shard")),
        ("row", pa.int32()),
    ]
)
SHARD = pa.schema(
    [
        ("id", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("turn", pa.int8()),
        ("image", pa.binary()),
    ]
)
QUARANTINE = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "member")),
        ("label", pa.int32()),
        ("reason", pa.string()),
        ("image", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Picture:
    """A row of the manifest, and the bytes of its picture; `facts` are further columns."""

    name: str
    label: int | None
    data: bytes
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Double:
    """What the report reads of prepared data."""

    path: Path
    meta: SimpleNamespace
    _quarantine: pa.Table

    def quarantine(self) -> pa.Table:
        return self._quarantine


def jpeg(number: int, size: tuple[int, int] = (120, 160), channels: int = 3) -> bytes:
    """A JPEG of smooth noise; the same for the same arguments."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 8, channels), dtype=np.uint8)
    image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", image)[1].tobytes()


def build(folder: Path, pictures: Sequence[Picture], classes: Sequence[str], *, raw: int | None = None) -> Double:
    """Writes the files into `folder`.

    Args:
        folder: An empty folder.
        pictures: In the order of the source.
        classes: Their names.
        raw: Side of raw grey pictures; None: picture files.
    """
    rows, shard, aside = [], [], []
    for picture in pictures:
        height, width = (raw, raw) if raw else size_of(picture.data)
        row: dict[str, Any] = dict.fromkeys(MANIFEST.names)
        row |= {"id": picture.name, "member": picture.name, "label": picture.label, "status": "kept", "split": "train"}
        row |= {"class_name": None if picture.label is None else classes[picture.label], "bytes": len(picture.data)}
        row |= {"width": width, "height": height, "turn": 1, "converted": False, "mode": "L" if raw else "RGB"}
        row |= {"format": None if raw else "JPEG", "named_as": None if raw else "JPEG", "brightness": 120.0}
        row |= picture.facts
        if row["status"] == "quarantined":
            row |= dict.fromkeys(("split", "width", "height", "mode", "brightness"))
            aside.append({**{name: row[name] for name in QUARANTINE.names[:4]}, "image": picture.data[: 256 * 1024]})
        else:
            row |= {"shard": "shard-00000.arrow", "row": len(shard)}
            shard.append({"id": picture.name, "height": height, "width": width, "turn": 1, "image": picture.data})
        if row["status"] != "kept":
            row["split"] = None
        rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST), folder / "manifest.parquet")
    with pa.ipc.new_file(folder / "shard-00000.arrow", SHARD) as writer:
        for start in range(0, len(shard), 7):
            writer.write_batch(pa.RecordBatch.from_pylist(shard[start : start + 7], SHARD))
    meta = SimpleNamespace(
        name="pets",
        digest="d1" * 32,
        source_digest="50" * 32,
        classes=tuple(classes),
        channels=1 if raw else 3,
        encoding="raw" if raw else "encoded",
        manifest=SimpleNamespace(name="manifest.parquet"),
    )
    return Double(folder, meta, pa.Table.from_pylist(aside, QUARANTINE))


def size_of(data: bytes) -> tuple[int, int]:
    """Height and width of a picture file; nothing for what is none."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data[:2] == b"\xff\xd8" else None
    return (0, 0) if image is None else image.shape[:2]


@pytest.fixture
def hand() -> SimpleNamespace:
    """What makes prepared data by hand: `Picture`, `jpeg`, `build`."""
    return SimpleNamespace(Picture=Picture, jpeg=jpeg, build=build)


@pytest.fixture
def pets(tmp_path: Path) -> Callable[..., Double]:
    """Prepared data with pictures of two classes, one name fit to break a page, and one of every trouble."""

    def make(classes: Sequence[str] = ("<i>cat</i>", "dog")) -> Double:
        good = [
            Picture(f"{number}.jpg", number % 2, jpeg(number), {"split": ("train", "val", "test")[number % 3]})
            for number in range(12)
        ]
        odd = [
            Picture("copy.jpg", 0, jpeg(0), _left("duplicate", duplicate_of="0.jpg", similarity="exact")),
            Picture("near.jpg", 0, jpeg(2), {"duplicate_of": "2.jpg", "similarity": "near"}),
            Picture("conflict.jpg", 1, jpeg(4), _left("label_conflict", conflict_with="4.jpg")),
            Picture("leak.jpg", 1, jpeg(5), {"leaks": "5.jpg"}),
            Picture("misnamed.png", 1, jpeg(50), {"named_as": "PNG", "converted": True, "turn": 6}),
            Picture("empty.jpg", 0, b"", _bad("empty")),
            Picture("cut.jpg", 0, jpeg(60)[:1500], _bad("truncated")),
            Picture("<script>.jpg", 1, b"<html><script>alert(1)</script>", _bad("not_an_image")),
        ]
        good[4] = Picture("4.jpg", 0, jpeg(4), {"split": "train", "conflict_with": "conflict.jpg"})
        return build(tmp_path / "pets-d1d1d1d1d1d1", [*good, *odd], classes)

    return make


def _left(reason: str, **facts: Any) -> dict[str, Any]:
    return {"status": "left_out", "reason": reason, **facts}


def _bad(reason: str) -> dict[str, Any]:
    return {"status": "quarantined", "reason": reason}
