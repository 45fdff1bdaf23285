"""Shards of picture files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from fovea.config.schema import DataConfig
from fovea.core.errors import RunError
from fovea.datasets.samples import Samples
from fovea.shards import PreparedData, Split
from fovea.shards.meta import Meta
from fovea.shards.pack import Packed, pack

Make = Callable[..., Any]


def png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", image[..., ::-1])[1])


@pytest.fixture
def packed(tmp_path: Path, data: Make, config: Make) -> Callable[..., PreparedData]:
    """Packs samples and opens what came out."""

    def make(*chunks: Samples, channels: int = 3, **changes: Any) -> PreparedData:
        folder = tmp_path / f"packed-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        settings: DataConfig = data(channels=channels)
        written: Packed = pack(chunks, folder, settings, config(**changes))
        meta = Meta(
            name=settings.name,
            classes=tuple(settings.classes or ()),
            channels=settings.channels,
            image_size=None,
            digest="d",
            source_digest="s",
            settings={},
            **{field.name: getattr(written, field.name) for field in fields(written)},
        )
        meta.write(folder)
        return PreparedData.open(folder)

    return make


def splits(prepared: PreparedData) -> dict[str, tuple[Split, int]]:
    found = {}
    for name in ("train", "val", "test"):
        split = prepared.split(name)
        found |= {one: (split, row) for row, one in enumerate(split.ids)}
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pictures_are_kept_byte_for_byte_and_decoded(
    packed: Make, encoded: Make, drawn: Make, channels: int, suffix: str
) -> None:
    images = [drawn(number, height=40 + number % 3, width=50, channels=channels) for number in range(40)]
    files = [bytes(cv2.imencode(suffix, image[..., ::-1])[1]) for image in images]
    names = [f"{number}{suffix}" for number in range(40)]
    prepared = packed(encoded(files, ids=names, members=names), channels=channels)
    assert (prepared.meta.encoding, prepared.meta.image_size) == ("encoded", None)
    assert prepared.split("train").images() is None
    found = splits(prepared)
    assert len(found) == 40
    for number, name in enumerate(names):
        split, row = found[name]
        assert split.encoded
        assert split.file(row).tobytes() == files[number]
        assert split.sizes[row].tolist() == [40 + number % 3, 50]
        assert split.labels[row] == number % 3
        assert split.image(row).shape == images[number].shape
        if suffix == ".png":
            np.testing.assert_array_equal(split.image(row), images[number])
    table = prepared.manifest()
    assert list(table.id) == names
    assert list(table.bytes) == [len(file) for file in files]
    assert list(table.sha256) == [hashlib.sha256(file).hexdigest() for file in files]
    assert list(table.height) == [40 + number % 3 for number in range(40)]
    assert set(table["mode"]) == {"L" if channels == 1 else "RGB"}
    assert table.phash.str.fullmatch("[0-9a-f]{16}").all()
    assert table.brightness.between(1, 254).all()
    assert list(table.class_name) == ["abc"[number % 3] for number in range(40)]


def test_shards_are_in_the_order_of_the_source_over_several_record_batches(
    packed: Make, photos: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovea.shards.writer._BATCH", 5000)
    samples = photos(60)
    prepared = packed(samples)
    (info,) = prepared.meta.shards
    with pa.memory_map(str(prepared.path / info.name)) as file:
        reader = pa.ipc.open_file(file)
        assert reader.num_record_batches > 5
        assert reader.read_all()["id"].to_pylist() == samples.ids
    for name, (split, row) in splits(prepared).items():
        assert split.file(row).tobytes() == samples.images.read(int(name[:4]))
    table = prepared.manifest()
    assert table.row.tolist() == list(range(60))
    for name in ("train", "val", "test"):
        split = prepared.split(name)
        assert list(split.ids) == table.id[table.split == name].tolist()
        assert split.ids[0] == next(iter(split.ids))


def test_odd_pictures_are_kept_and_converted(packed: Make, encoded: Make, drawn: Make) -> None:
    def saved(image: Image.Image, kind: str, **more: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind, **more)
        return stream.getvalue()

    colour = Image.fromarray(drawn(100))
    turned = Image.Exif()
    turned[0x0112] = 6
    files = [
        saved(colour.convert("CMYK"), "JPEG"),
        saved(colour.convert("P"), "PNG"),
        saved(Image.fromarray(drawn(101)).convert("L"), "JPEG"),
        saved(Image.fromarray(drawn(102)), "JPEG", exif=turned),
        *(png(drawn(number)) for number in range(30)),
    ]
    prepared = packed(encoded(files))
    found, table = splits(prepared), prepared.manifest().set_index("id")
    assert set(table.status) == {"kept"}
    assert table.converted[:4].tolist() == [True, True, False, False]
    assert (table.named_as.iloc[5], table.format.iloc[5]) == ("JPEG", "PNG")
    split, row = found["0003.jpg"]
    assert split.sizes[row].tolist() == [48, 40]
    assert split.image(row).shape == (48, 40, 3)
    assert table.loc["0003.jpg", ["height", "width", "turn"]].tolist() == [48, 40, 6]
    split, row = found["0002.jpg"]
    assert split.image(row).shape == (40, 48, 3)


def test_unusable_pictures_are_quarantined(packed: Make, encoded: Make, photos: Make, drawn: Make) -> None:
    good = png(drawn(200))
    odd = [b"", b"<html>" * 50_000, good[: len(good) // 2], good, good]
    problems = [None, None, None, "unsafe_name", None]
    samples = encoded(
        odd, ids=list("vwxyz"), members=list("vwxyz"), labels=np.array([0, 0, 0, -1, 1]), problems=problems
    )
    prepared = packed(photos(30), samples)
    table = prepared.manifest().set_index("id").loc[list("vwxyz")]
    assert table.status.tolist() == ["quarantined"] * 4 + ["kept"]
    reasons = table.reason.tolist()[:4]
    assert reasons == ["empty", "not_an_image", reasons[2], "unsafe_name"]
    assert reasons[2] in {"truncated", "damaged"}
    assert table.split.isna().tolist() == [True] * 4 + [False]
    assert table.shard.isna().tolist() == [True] * 4 + [False]
    aside = prepared.quarantine()
    assert aside["id"].to_pylist() == list("vwxy")
    assert aside["label"].to_pylist() == [0, 0, 0, None]
    assert aside["image"].to_pylist() == [b"", odd[1][:256_000], odd[2], None]
    assert prepared.meta.quality["quarantined"] == 4
    assert prepared.meta.quality["reasons"]["unsafe_name"] == 1


def test_a_picture_without_a_label_is_quarantined(packed: Make, encoded: Make, photos: Make, drawn: Make) -> None:
    samples = encoded([png(drawn(200)), png(drawn(201))], ids=["x", "y"], labels=np.array([-1, 0]))
    table = packed(photos(30), samples).manifest().set_index("id")
    assert table.reason.fillna("")[["x", "y"]].tolist() == ["no_label", ""]


def test_large_files_and_pictures_are_not_decoded(packed: Make, encoded: Make, photos: Make, drawn: Make) -> None:
    rng = np.random.default_rng(0)
    heavy = png(rng.integers(0, 256, (600, 600, 3), np.uint8))
    vast = png(rng.integers(0, 256, (300, 300, 3), np.uint8))
    samples = encoded([heavy, vast], ids=["x", "y"])
    table = packed(photos(30), samples, max_pixels=50_000, max_mb=1).manifest().set_index("id")
    assert table.reason[["x", "y"]].tolist() == ["too_large", "too_large"]
    assert table.width["y"] == 300


def test_resize_makes_larger_pictures_smaller_and_upright(packed: Make, encoded: Make, drawn: Make) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    stream = io.BytesIO()
    upright = drawn(7, height=120, width=90)
    # As a camera held sideways stores it: to be turned a quarter clockwise.
    Image.fromarray(np.rot90(upright)).save(stream, "JPEG", quality=95, exif=turned)
    small = png(drawn(8, height=20, width=30))
    files = [stream.getvalue(), small, *(png(drawn(number, height=60, width=100)) for number in range(9, 40))]
    prepared = packed(encoded(files), resize=30)
    found = splits(prepared)
    split, row = found["0000.jpg"]
    assert split.sizes[row].tolist() == [40, 30]
    expected = cv2.resize(upright, (30, 40), interpolation=cv2.INTER_AREA)
    assert np.abs(split.image(row).astype(int) - expected).mean() < 15  # turned wrongly it is 80
    split, row = found["0001.jpg"]
    assert split.file(row).tobytes() == small
    split, row = found["0005.jpg"]
    assert split.sizes[row].tolist() == [30, 50]
    assert split.image(row).shape == (30, 50, 3)
    table = prepared.manifest().set_index("id")
    assert table.loc["0000.jpg", ["height", "width"]].tolist() == [120, 90]


def test_a_file_that_has_changed_since_it_was_listed_stops_the_run(packed: Make, photos: Make) -> None:
    samples = photos(30)
    digests = [hashlib.sha256(samples.images.read(row)).hexdigest() for row in range(30)]
    assert len(packed(replace(samples, sha256=digests)).manifest()) == 30
    digests[7] = "0" * 64
    with pytest.raises(RunError, match=r"'0007.jpg' of data 'tiny' has changed since ingest; run .*ingest"):
        packed(replace(samples, sha256=digests))


def test_a_copy_in_another_format_shares_the_split(packed: Make, encoded: Make, drawn: Make) -> None:
    images = [drawn(number, height=200, width=240) for number in range(60)]
    again = encoded([png(image) for image in images], ids=[f"again{n}" for n in range(60)], labels=np.arange(60) % 3)
    first = encoded([bytes(cv2.imencode(".bmp", image[..., ::-1])[1]) for image in images])
    table = packed(first, again, near_distance=None).manifest()
    assert set(table.status) == {"kept"}
    assert table.split[:60].tolist() == table.split[60:].tolist()
    assert set(table.split) == {"train", "val", "test"}


def test_copies_conflicts_and_near_duplicates(packed: Make, encoded: Make, drawn: Make) -> None:
    images = [drawn(number, height=100, width=120) for number in range(40)]
    files = [bytes(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]) for image in images]
    smaller = cv2.resize(images[2], (90, 75), interpolation=cv2.INTER_AREA)
    odd = [files[0], files[1], png(smaller)]
    prepared = packed(encoded([*files, *odd], labels=np.array([*np.arange(40) % 3, 0, 2, 2])))
    table = prepared.manifest().iloc[[0, 1, 2, 40, 41, 42]]
    assert table.status.tolist()[:5] == ["kept", "kept", "kept", "left_out", "left_out"]
    assert table.reason.tolist()[3:5] == ["duplicate", "label_conflict"]
    assert table.duplicate_of.iloc[3] == "0000.jpg"
    assert table.similarity.iloc[3] == "exact"
    assert table.conflict_with.tolist()[1:5:3] == ["0041.jpg", "0001.jpg"]
    near = prepared.manifest().iloc[[2, 42]]
    assert "near" in near.similarity.tolist()
    found = splits(prepared)
    assert "0040.jpg" not in found
    assert "0041.jpg" not in found
    assert len(found) == prepared.meta.quality["kept"] == sum(prepared.meta.counts.values())
    for name, (split, row) in found.items():
        assert split.file(row).tobytes() == [*files, *odd][int(name[:4])]


def test_leakage_across_official_splits_is_told(packed: Make, encoded: Make, drawn: Make) -> None:
    files = [png(drawn(number)) for number in range(40)]
    train = encoded(files, split="train", ids=[f"train{n}" for n in range(40)])
    test = encoded(files[:3], split="test", ids=[f"test{n}" for n in range(3)])
    table = packed(train, test).manifest().set_index("id")
    assert set(table.status) == {"kept"}
    assert table.leaks.fillna("")[["train0", "test0", "train3"]].tolist() == ["test0", "train0", ""]
    prepared = packed(train, test, leakage="leave_out")
    table = prepared.manifest().set_index("id")
    assert table.reason.fillna("")[["train0", "train1", "train2", "train3"]].tolist() == ["leakage"] * 3 + [""]
    assert prepared.meta.counts["test"] == 3
    assert prepared.meta.quality["leaks"] == 6


def test_too_many_unusable_pictures_stop_the_run(packed: Make, encoded: Make, photos: Make, tmp_path: Path) -> None:
    bad = encoded([b""] * 3 + [b"no picture at all"] * 2, ids=list("vwxyz"))
    words = (
        r"5 of 25 pictures of data 'tiny' cannot be used \(3 empty, 2 not_an_image\), more than "
        r"prepare.max_bad_fraction=0.1 allows; the first are 'v', 'w', 'x', all are listed in '.*tiny-rejected.csv'"
    )
    with pytest.raises(RunError, match=words):
        packed(photos(20), bad, max_bad_fraction=0.1)
    listed = pd.read_csv(tmp_path / "tiny-rejected.csv")
    assert listed.id.tolist() == list("vwxyz")
    assert listed.reason.tolist() == ["empty"] * 3 + ["not_an_image"] * 2
    packed(photos(20), bad, max_bad_fraction=0.2)
    assert not (tmp_path / "tiny-rejected.csv").exists()


def test_a_class_without_a_picture_stops_the_run(packed: Make, encoded: Make, photos: Make, drawn: Make) -> None:
    bad = encoded([b""] * 3, labels=np.full(3, 2), ids=list("xyz"))
    with pytest.raises(RunError, match="no picture of class 'c' of data 'tiny' is kept"):
        packed(photos(30, labels=np.arange(30) % 2), bad)


def test_a_class_with_one_training_picture_is_told(
    packed: Make, photos: Make, caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.array([2] + [0, 1] * 20)
    packed(photos(41, labels=labels, split="train"), val_fraction=1e-9)
    assert "hardly any training pictures of class 'c' (1)" in caplog.text


def test_two_pictures_with_one_id_are_refused(packed: Make, photos: Make) -> None:
    with pytest.raises(RunError, match=r"two pictures with one id, '0000.jpg'"):
        packed(photos(5), photos(5, first=50))


def test_a_damaged_picture_in_a_shard_is_told_when_it_is_read(packed: Make, photos: Make) -> None:
    prepared = packed(photos(30))
    split = prepared.split("train")
    path = prepared.path / "shard-00000.arrow"
    content = bytearray(path.read_bytes())
    file = split.file(0).tobytes()
    at = content.find(file)
    content[at : at + len(file)] = bytes(len(file))
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(RunError, match=rf"picture '{split.ids[0]}' cannot be read"):
        prepared.split("train").image(0)
