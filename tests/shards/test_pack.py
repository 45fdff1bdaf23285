from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fovea.config.schema import DataConfig, PrepareConfig
from fovea.core.errors import RunError
from fovea.datasets.samples import Samples
from fovea.shards import tasks as cutting
from fovea.shards.keys import sample_keys
from fovea.shards.meta import Meta
from fovea.shards.pack import Packed, pack
from fovea.shards.reader import Split

Make = Callable[..., Any]


def packed(folder: Path, data: DataConfig, config: PrepareConfig, *chunks: Samples) -> Packed:
    folder.mkdir(parents=True)
    return pack(chunks, folder, data, config)


def meta(written: Packed, data: DataConfig) -> Meta:
    return Meta(
        name=data.name,
        classes=tuple(data.classes or ()),
        channels=data.channels,
        image_size=data.image_size if written.encoding == "raw" else None,
        digest="d",
        source_digest="s",
        settings={},
        **{field.name: getattr(written, field.name) for field in fields(written)},
    )


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 160 bytes: ten pictures."""
    monkeypatch.setattr(cutting, "_MOST", 160)


@pytest.mark.usefixtures("small_shards")
def test_two_writings_give_the_same_bytes(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    first = packed(tmp_path / "a", data(), config(), pictures(100))
    second = packed(tmp_path / "b", data(), config(), pictures(100))
    assert first == second
    assert len(first.shards) > 8
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_bytes_stay_those_of_this_format(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    written = packed(tmp_path / "a", data(), config(), pictures(50))
    with pa.memory_map(str(tmp_path / "a" / "shard-00000.arrow")) as file:
        batch = pa.ipc.open_file(file).get_batch(0)
        metadata = batch.schema.metadata
        assert metadata == {b"encoding": b"raw", b"height": b"4", b"width": b"4", b"channels": b"1"}
        assert batch.schema.names == ["id", "key", "label", "split", "height", "width", "turn", "image"]
        kinds = [str(kind) for kind in batch.schema.types]
        assert kinds == ["string", "uint64", "int32", "string", "int32", "int32", "int8", "binary"]
        batch.validate(full=True)
        splits = batch.column("split").to_pylist()
    assert splits == sorted(splits, key=["train", "val", "test"].index)
    assert [shard.name for shard in written.shards] == ["shard-00000.arrow"]
    assert not (tmp_path / "a" / ".shards").exists()


@pytest.mark.usefixtures("small_shards")
def test_the_manifest_tells_of_every_picture_and_where_it_is(
    tmp_path: Path, data: Make, config: Make, pictures: Make
) -> None:
    chunks = [pictures(60, split="train", prefix="a"), pictures(20, seed=1, split="test", prefix="b")]
    written = packed(tmp_path / "a", data(), config(), *chunks)
    table = pd.read_parquet(tmp_path / "a" / "manifest.parquet")
    assert list(table.id) == [*chunks[0].ids, *chunks[1].ids]
    assert list(table.member) == [*chunks[0].members, *chunks[1].members]
    assert list(table.label) == [*chunks[0].labels, *chunks[1].labels]
    assert table.split.value_counts().to_dict() == written.counts
    assert set(table.split[60:]) == {"test"}
    assert set(table.status) == {"kept"}
    assert table.reason.isna().all()
    assert set(zip(table.width, table.height, table["mode"], table.bytes, strict=True)) == {(4, 4, "L", 16)}
    images = np.concatenate([chunk.images for chunk in chunks])
    assert list(table.sha256) == [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    for row in table.itertuples():
        with pa.memory_map(str(tmp_path / "a" / row.shard)) as file:
            batch = pa.ipc.open_file(file).get_batch(0)
            found = {name: batch.column(name)[row.row].as_py() for name in batch.schema.names}
        assert found == {
            "id": row.id,
            "key": int(sample_keys([row.id])[0]),
            "label": row.label,
            "split": row.split,
            "height": 4,
            "width": 4,
            "turn": 1,
            "image": images[row.Index].tobytes(),
        }


@pytest.mark.usefixtures("small_shards")
def test_each_split_is_in_the_order_of_the_source(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    samples = pictures(100)
    written = packed(tmp_path / "a", data(), config(), samples)
    described = meta(written, data())
    splits = {name: Split(tmp_path / "a", described, name) for name in ("train", "val", "test")}
    assert {name: len(split) for name, split in splits.items()} == written.counts
    known = dict(zip(samples.ids, zip(samples.images, samples.labels, strict=True), strict=True))
    for split in splits.values():
        ids = list(split.ids)
        assert ids == sorted(ids)
        np.testing.assert_array_equal(split.images(), np.array([known[name][0] for name in ids]))
        assert split.labels.tolist() == [known[name][1] for name in ids]
    assert sorted(name for split in splits.values() for name in split.ids) == samples.ids


def test_more_pictures_move_no_old_one(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    old, new = pictures(100), pictures(50, seed=1, prefix="new")
    twins = replace(pictures(100), ids=[f"twin{number}" for number in range(100)])
    packed(tmp_path / "a", data(), config(duplicates="keep"), old)
    packed(tmp_path / "b", data(), config(duplicates="keep"), new, old, twins)
    before = pd.read_parquet(tmp_path / "a" / "manifest.parquet").set_index("id").split
    after = pd.read_parquet(tmp_path / "b" / "manifest.parquet").set_index("id").split
    assert after[before.index].tolist() == before.tolist()
    assert after[list(twins.ids)].tolist() == before.tolist()


def test_keys_are_the_first_bytes_of_the_ids_sha256() -> None:
    keys = sample_keys(["train-000000", "é"])
    assert keys.dtype == np.uint64
    assert keys.tolist() == [
        int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") for name in ("train-000000", "é")
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((30, 4, 5, 1), np.uint8)}, r"pictures of shape \(4, 5, 1\) where \(4, 4, 1\) is expected"),
        ({"ids": ["same"] * 30}, "two pictures with one id"),
    ],
)
def test_what_cannot_be_packed_is_said(
    tmp_path: Path, data: Make, config: Make, pictures: Make, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RunError, match=words):
        packed(tmp_path / "a", data(), config(), replace(pictures(30), **change))


def test_a_source_that_is_all_test_needs_no_training(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    written = packed(tmp_path / "a", data(), config(), pictures(30, split="test"))
    assert written.counts == {"train": 0, "val": 0, "test": 30}


def test_a_source_with_nothing_left_for_training_is_refused(
    tmp_path: Path, data: Make, config: Make, pictures: Make
) -> None:
    words = r"no picture of data 'tiny' is left for training; lower prepare.test_fraction"
    with pytest.raises(RunError, match=words):
        packed(tmp_path / "a", data(), config(test_fraction=0.9999), pictures(30))


def test_a_source_without_pictures_is_refused(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    with pytest.raises(RunError, match="data 'tiny' has no pictures"):
        packed(tmp_path / "a", data(), config(), pictures(0))


def test_encodings_are_not_mixed(tmp_path: Path, data: Make, config: Make, pictures: Make, photos: Make) -> None:
    with pytest.raises(RunError, match="has raw and encoded pictures"):
        packed(tmp_path / "a", data(), config(), pictures(30), photos(3))


@pytest.mark.parametrize("duplicates", ["leave_out", "keep"])
def test_copies_of_raw_pictures(tmp_path: Path, data: Make, config: Make, pictures: Make, duplicates: str) -> None:
    first = pictures(60)
    twins = replace(pictures(60), ids=[f"twin{number}" for number in range(60)])
    written = packed(tmp_path / "a", data(), config(duplicates=duplicates), first, twins)
    splits = {name: Split(tmp_path / "a", meta(written, data()), name) for name in ("train", "val", "test")}
    assert sum(map(len, splits.values())) == sum(written.counts.values()) == (60 if duplicates == "leave_out" else 120)
    assert written.quality["duplicates"] == 60
    known = dict(zip(first.ids, first.images, strict=True))
    for split in splits.values():
        images = split.images()
        assert images is not None
        for row, name in enumerate(split.ids):
            np.testing.assert_array_equal(
                images[row], known[f"p{int(name.removeprefix('twin').removeprefix('p')):04d}"]
            )
            np.testing.assert_array_equal(images[row], split.image(row))


def test_a_disk_without_room_is_told_before_a_shard_is_written(
    tmp_path: Path, data: Make, config: Make, pictures: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr("fovea.core.files.shutil.disk_usage", lambda place: usage)
    with pytest.raises(RunError, match=r"the shards of data 'tiny' need 0\.0 MB in .* free some space"):
        packed(tmp_path / "a", data(), config(), pictures(30))
    assert list((tmp_path / "a").rglob("*.arrow")) == []
