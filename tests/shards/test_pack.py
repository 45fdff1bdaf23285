from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from fovea.config.schema import DataConfig, PrepareConfig
from fovea.core.errors import RunError
from fovea.datasets.samples import Samples
from fovea.shards import writer as writing
from fovea.shards.manifest import read_manifest
from fovea.shards.meta import Meta
from fovea.shards.pack import Packed, pack, sample_keys
from fovea.shards.reader import Split
from fovea.shards.writer import SplitWriter

Make = Callable[..., Any]


def packed(folder: Path, data: DataConfig, config: PrepareConfig, *chunks: Samples) -> Packed:
    folder.mkdir(parents=True)
    return pack(chunks, folder, data, config)


def meta(written: Packed, data: DataConfig) -> Meta:
    return Meta(
        name=data.name,
        classes=tuple(data.classes),
        channels=data.channels,
        image_size=data.image_size,
        encoding=written.encoding,
        counts=written.counts,
        digest="d",
        source_digest="s",
        settings={},
        manifest=written.manifest,
        shards=written.shards,
    )


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 160 bytes: ten pictures."""
    monkeypatch.setattr(writing, "_MOST", 160)


@pytest.mark.usefixtures("small_shards")
def test_two_writings_give_the_same_bytes(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    first = packed(tmp_path / "a", data(), config(), pictures(100))
    second = packed(tmp_path / "b", data(), config(), pictures(100))
    assert first == second
    assert len(first.shards) > 8
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.usefixtures("small_shards")
def test_the_bytes_do_not_depend_on_how_the_source_is_chunked(
    tmp_path: Path, data: Make, config: Make, pictures: Make
) -> None:
    whole = pictures(100)
    cuts = [slice(0, 1), slice(1, 37), slice(37, 37), slice(37, 100)]
    chunks = [
        replace(
            whole, ids=whole.ids[cut], members=whole.members[cut], labels=whole.labels[cut], images=whole.images[cut]
        )
        for cut in cuts
    ]
    assert packed(tmp_path / "a", data(), config(), whole) == packed(tmp_path / "b", data(), config(), *chunks)


def test_the_bytes_stay_those_of_this_format(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    batch = None
    written = packed(tmp_path / "a", data(), config(), pictures(50))
    with pa.memory_map(str(tmp_path / "a" / "shard-00000.arrow")) as file:
        batch = pa.ipc.open_file(file).get_batch(0)
        metadata = batch.schema.metadata
        assert metadata == {b"encoding": b"raw", b"height": b"4", b"width": b"4", b"channels": b"1"}
        assert batch.schema.names == ["id", "key", "label", "split", "image"]
        assert [str(kind) for kind in batch.schema.types] == ["string", "uint64", "int32", "string", "binary"]
        batch.validate(full=True)
    assert [shard.name for shard in written.shards] == ["shard-00000.arrow", "shard-00001.arrow", "shard-00002.arrow"]
    assert [shard.split for shard in written.shards] == ["train", "val", "test"]


@pytest.mark.usefixtures("small_shards")
def test_the_manifest_tells_of_every_picture_and_where_it_is(
    tmp_path: Path, data: Make, config: Make, pictures: Make
) -> None:
    chunks = [pictures(60, split="train", prefix="a"), pictures(20, seed=1, split="test", prefix="b")]
    written = packed(tmp_path / "a", data(), config(), *chunks)
    table = read_manifest(tmp_path / "a" / "manifest.parquet")
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
    packed(tmp_path / "a", data(), config(), old)
    packed(tmp_path / "b", data(), config(), new, old, twins)
    before = read_manifest(tmp_path / "a" / "manifest.parquet").set_index("id").split
    after = read_manifest(tmp_path / "b" / "manifest.parquet").set_index("id").split
    assert after[before.index].tolist() == before.tolist()
    assert after[list(twins.ids)].tolist() == before.tolist()


def test_keys_are_the_first_bytes_of_the_ids_sha256() -> None:
    keys = sample_keys(["train-000000", "é"])
    assert keys.dtype == np.uint64
    assert keys.tolist() == [
        int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") for name in ("train-000000", "é")
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_encoded_pictures_are_kept_as_they_are_and_decoded(
    tmp_path: Path, data: Make, config: Make, channels: int, encoding: Any
) -> None:
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (5 + number % 3, 7, channels), np.uint8) for number in range(40)]
    suffix = ".png" if encoding == "png" else ".jpg"
    files = [bytes(cv2.imencode(suffix, image[..., ::-1])[1]) for image in images]
    samples = Samples(
        ids=[str(number) for number in range(40)],
        members=[f"{number}{suffix}" for number in range(40)],
        labels=np.arange(40) % 3,
        images=files,
        encoding=encoding,
    )
    settings = data(channels=channels)
    written = packed(tmp_path / "a", settings, config(), samples)
    train = Split(tmp_path / "a", meta(written, settings), "train")
    assert written.encoding == encoding
    assert train.images() is None
    for row, name in enumerate(train.ids):
        found, original = train.image(row), images[int(name)]
        assert found.shape == original.shape
        if encoding == "png":
            np.testing.assert_array_equal(found, original)
    table = read_manifest(tmp_path / "a" / "manifest.parquet")
    assert list(table.bytes) == [len(file) for file in files]
    assert list(table.height) == [5 + number % 3 for number in range(40)]
    assert set(table["mode"]) == {"L" if channels == 1 else "RGB"}
    if encoding == "png":
        assert list(table.sha256) == [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def test_an_image_larger_than_a_shard_has_its_own(tmp_path: Path) -> None:
    writer = SplitWriter(tmp_path, "train", "png", limit=10)
    files = [b"x" * size for size in (4, 6, 1, 25, 5, 5)]
    rows = writing.Rows(list("abcdef"), np.arange(6, dtype=np.uint64), np.arange(6), files)
    shards, numbers = writer.append(rows)
    writer.finish()
    assert shards.tolist() == [0, 0, 1, 2, 3, 3]
    assert numbers.tolist() == [0, 1, 0, 0, 0, 1]
    assert writer.counts == [2, 1, 1, 2]
    assert [path.name for path in writer.paths][-1] == "train-00003.arrow"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((30, 4, 5, 1), np.uint8)}, r"pictures of shape \(4, 5, 1\) where \(4, 4, 1\) is expected"),
        ({"ids": ["same"] * 30}, "two pictures with one id"),
        (
            {"images": [b"no picture"] * 30, "encoding": "png"},
            r"file\[0\] of data 'tiny' cannot be read \(not a picture",
        ),
        ({"images": [b""] * 30, "encoding": "png"}, r"file\[0\] of data 'tiny' cannot be read"),
        ({"split": "test"}, r"no picture of data 'tiny' is left for training; lower prepare.test_fraction \(0.2\)"),
    ],
)
def test_what_cannot_be_packed_is_said(
    tmp_path: Path, data: Make, config: Make, pictures: Make, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RunError, match=words):
        packed(tmp_path / "a", data(), config(), replace(pictures(30), **change))


def test_encodings_are_not_mixed(tmp_path: Path, data: Make, config: Make, pictures: Make) -> None:
    other = replace(pictures(3, prefix="q"), images=[b"x"] * 3, encoding="png")
    with pytest.raises(RunError, match="has png and raw pictures"):
        packed(tmp_path / "a", data(), config(), pictures(30), other)


def test_a_disk_without_room_is_told_before_a_shard_is_written(
    tmp_path: Path, data: Make, config: Make, pictures: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr("fovea.core.files.shutil.disk_usage", lambda place: usage)
    with pytest.raises(RunError, match=r"the train shards need 0\.0 MB in .* free some space"):
        packed(tmp_path / "a", data(), config(), pictures(30))
    assert list((tmp_path / "a").iterdir()) == []
