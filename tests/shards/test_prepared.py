from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea.core.errors import RunError, UserError
from fovea.datasets.source import SourceFiles
from fovea.shards import PreparedData, prepare
from fovea.shards import tasks as cutting
from fovea.shards.keys import sample_keys

Make = Callable[..., Any]


@pytest.fixture
def prepared(source: SourceFiles, data: Make, config: Make) -> PreparedData:
    return prepare(source, data(), config())[0]


def test_the_note_tells_what_is_there(prepared: PreparedData, source: SourceFiles) -> None:
    meta = prepared.meta
    assert (meta.name, meta.classes, meta.channels, meta.image_size) == ("tiny", ("a", "b", "c"), 1, 4)
    assert meta.source_digest == source.digest
    assert prepared.path.name == f"tiny-{meta.digest[:12]}"
    assert meta.counts["test"] == 30
    assert sum(meta.counts.values()) == meta.manifest.rows == 150
    assert json.loads((prepared.path / "prepared.json").read_text())["digest"] == meta.digest


def test_a_split_has_labels_keys_ids_and_pictures(prepared: PreparedData) -> None:
    test = prepared.split("test")
    assert len(test) == 30
    assert (test.labels.dtype, test.labels.shape) == (np.int64, (30,))
    assert test.keys.tolist() == sample_keys(list(test.ids)).tolist()
    assert test.ids[3] == "test-000003"
    assert test.ids[-2:] == ["test-000028", "test-000029"]
    images = test.images()
    assert images is not None
    assert (images.dtype, images.shape) == (np.uint8, (30, 4, 4, 1))
    assert test.image(7).shape == (4, 4, 1)
    np.testing.assert_array_equal(test.image(7), images[7])


def test_pictures_are_views_of_the_file(prepared: PreparedData) -> None:
    images = prepared.split("train").images()
    assert images is not None
    assert not images.flags.owndata
    assert not images.flags.writeable


def test_a_split_in_several_shards_is_one(
    source: SourceFiles, data: Make, config: Make, monkeypatch: pytest.MonkeyPatch, prepared: PreparedData
) -> None:
    monkeypatch.setattr(cutting, "_MOST", 160)
    pieces = prepare(source, data(), config(shard_mb=1))[0].split("train")
    whole = prepared.split("train")
    assert list(pieces.ids) == list(whole.ids)
    np.testing.assert_array_equal(pieces.images(), whole.images())
    np.testing.assert_array_equal(pieces.image(len(pieces) - 1), whole.image(len(whole) - 1))
    assert pieces.images() is pieces.images()


@pytest.mark.parametrize("row", [-1, 30])
def test_a_row_that_is_not_there(prepared: PreparedData, row: int) -> None:
    with pytest.raises(IndexError, match=f"row {row} of 30"):
        prepared.split("test").image(row)


def test_a_split_travels_to_another_process(prepared: PreparedData) -> None:
    test = prepared.split("test")
    content = pickle.dumps(test)
    assert len(content) < 4000
    np.testing.assert_array_equal(pickle.loads(content).images(), test.images())  # noqa: S301


def test_an_empty_split(source: SourceFiles, data: Make, config: Make) -> None:
    val = prepare(source, data(), config(val_fraction=1e-9))[0].split("val")
    assert len(val) == 0
    assert list(val.ids) == []
    assert val.images().shape == (0, 4, 4, 1)  # type: ignore[union-attr]


def test_an_unknown_split_is_the_users_mistake(prepared: PreparedData) -> None:
    with pytest.raises(UserError, match=r"there is no split 'tets'; did you mean 'test'?"):
        prepared.split("tets")


def test_the_published_folder_is_the_same_data(prepared: PreparedData, tmp_path: Path) -> None:
    prepared.publish(tmp_path / "out")
    opened = PreparedData.open(tmp_path / "out")
    assert opened.meta == prepared.meta
    assert sorted(path.name for path in opened.path.iterdir()) == sorted(path.name for path in prepared.path.iterdir())
    assert opened.manifest().equals(prepared.manifest())
    np.testing.assert_array_equal(opened.split("val").images(), prepared.split("val").images())


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("meddle", "words"),
    [
        (
            lambda folder: (folder / "prepared.json").unlink(),
            "holds no prepared data; run `kedro run --pipelines=prepare`",
        ),
        (lambda folder: (folder / "prepared.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "prepared.json").write_text("[1]"), "its contents are not as expected"),
        (lambda folder: (folder / "prepared.json").write_bytes(b"\xff\xfe"), "cannot be read"),
        (lambda folder: rewrite(folder / "prepared.json", format=1), "another version of Fovea"),
        (lambda folder: rewrite(folder / "prepared.json", extra=1), "its contents are not as expected"),
        (lambda folder: rewrite(folder / "prepared.json", counts={"train": 1}), "its contents are not as expected"),
        (lambda folder: rewrite(folder / "prepared.json", shards=[{"name": "x"}]), "its contents are not as expected"),
        (lambda folder: (folder / "shard-00001.arrow").unlink(), "shard-00001.arrow' is missing"),
        (lambda folder: (folder / "manifest.parquet").write_bytes(b"x"), "manifest.parquet' has 1 bytes instead of"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(prepared: PreparedData, meddle: Any, words: str) -> None:
    meddle(prepared.path)
    with pytest.raises(RunError, match=words):
        PreparedData.open(prepared.path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere' holds no prepared data"):
        PreparedData.open(tmp_path / "nowhere")


def test_a_damaged_shard_is_refused_or_harmless(prepared: PreparedData) -> None:
    path = prepared.path / "shard-00001.arrow"
    good = path.read_bytes()
    original = prepared.split("test")
    expected = original.labels.copy(), original.keys.copy(), list(original.ids)
    images = np.array(original.images())
    del original
    pixels = good.find(images.tobytes())
    assert pixels > 0
    said: list[str] = []
    for at in range(0, len(good), 7):
        if pixels <= at < pixels + images.size:
            continue  # a changed pixel is the checksum's business
        damaged = bytearray(good)
        damaged[at] ^= 0x55
        path.unlink()
        path.write_bytes(damaged)
        try:
            split = prepared.split("test")
            found = split.labels, split.keys, list(split.ids)
        except RunError as error:
            said.append(str(error))
            continue
        assert len(found[0]) == len(expected[0])
        assert split.images().shape == images.shape  # type: ignore[union-attr]
    assert len(said) > 20
    assert all("shard-00001.arrow' is damaged" in sentence for sentence in said)


def test_a_damaged_manifest_is_refused(prepared: PreparedData) -> None:
    path = prepared.path / "manifest.parquet"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(RunError, match=r"the manifest in .* cannot be read"):
        prepared.manifest()
