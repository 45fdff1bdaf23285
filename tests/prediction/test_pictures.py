"""Reading pictures: every kind of file that may lie in a folder."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fovea.pictures import Limits, decode, examine
from fovea.prediction.pictures import Unreadable, decoded, file_bytes, shown_path

# A red left and a blue right half, in OpenCV's order of channels.
PICTURE = np.zeros((20, 40, 3), np.uint8)
PICTURE[:, :20, 2] = 255
PICTURE[:, 20:, 0] = 255


def read_picture(path: Path, channels: int) -> np.ndarray:
    return decoded(file_bytes(path), channels)


def write(path: Path, picture: np.ndarray = PICTURE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


def test_colours_arrive_as_red_green_blue(tmp_path: Path) -> None:
    image = read_picture(write(tmp_path / "a.png"), 3)
    assert (image.shape, image.dtype) == ((20, 40, 3), np.uint8)
    assert image[5, 0].tolist() == [255, 0, 0]
    assert image[5, 39].tolist() == [0, 0, 255]


def test_a_picture_comes_upright_at_its_own_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(PICTURE[:, :, ::-1]).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = read_picture(tmp_path / "a.jpg", 3)
    assert image.shape == (40, 20, 3)
    assert image[3, 10] == pytest.approx([255, 0, 0], abs=8)
    assert image[36, 10] == pytest.approx([0, 0, 255], abs=8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tiff", ".gif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_is_read_as_it_is_trained_on(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(PICTURE).save(path)
    packed = examine(path.read_bytes(), path.name, Limits()).packed
    assert np.array_equal(read_picture(path, channels), decode(packed, channels))


def test_colours_become_grey_where_the_model_wants_one_channel(tmp_path: Path) -> None:
    image = read_picture(write(tmp_path / "a.png"), 1)
    assert image.shape == (20, 40, 1)
    assert image[10, 0, 0] == round(0.299 * 255)  # ITU-R BT.601


@pytest.mark.parametrize(
    "picture",
    [
        np.full((8, 8), 51, np.uint8),
        np.full((8, 8), 51 * 257, np.uint16),
        np.full((8, 8, 4), [51, 51, 51, 255], np.uint8),
    ],
    ids=["grey", "16 bit", "with alpha"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_pixel_becomes_bytes(tmp_path: Path, picture: np.ndarray, channels: int) -> None:
    image = read_picture(write(tmp_path / "a.png", picture), channels)
    assert (image == 51).all()
    assert image.shape == (8, 8, channels)


def unreadable_file(folder: Path, kind: str) -> Path:
    path = folder / "bad.png"
    good = write(folder / "good.png").read_bytes()
    match kind:
        case "empty":
            path.touch()
        case "text":
            path.write_text("hello " * 100)
        case "document":
            path.write_bytes(b"%PDF-1.7" + bytes(100))
        case "damaged":
            path.write_bytes(good.replace(b"IDAT", b"IDAX"))
        case "cut short":
            path.write_bytes(good[: len(good) // 2])
        case "pipe":
            os.mkfifo(path)
        case "dead link":
            path.symlink_to(folder / "nowhere.png")
        case "loop":
            path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "the file is empty"),
        ("text", "not a picture"),
        ("document", "a kind of picture that is not read"),
        ("cut short", "the end of the file is missing"),
        ("damaged", "the picture is damaged"),
        ("pipe", "not a regular file"),
        ("dead link", "the link leads nowhere"),
        ("loop", "the link leads nowhere"),
        ("nothing", "there is no such file"),
    ],
)
def test_what_cannot_be_read_has_a_reason(tmp_path: Path, kind: str, reason: str) -> None:
    path = unreadable_file(tmp_path, kind)
    with pytest.raises(Unreadable, match=reason):
        read_picture(path, 1)


def test_a_picture_of_too_many_pixels_has_a_reason(tmp_path: Path) -> None:
    # The header of a BMP of 60,000 x 60,000 pixels, without its pixels.
    header = b"BM" + struct.pack("<LLLLLLHH", 54, 0, 54, 40, 60_000, 60_000, 1, 24) + bytes(24)
    (tmp_path / "huge.bmp").write_bytes(header)
    with pytest.raises(Unreadable, match="too many pixels"):
        read_picture(tmp_path / "huge.bmp", 1)


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(Unreadable, match="too many pixels or bytes"):
        read_picture(tmp_path / "huge.jpg", 3)


def test_a_name_that_is_no_text_can_still_be_written_into_a_table() -> None:
    assert shown_path(Path(os.fsdecode(b"caf\xe9.png"))).encode("utf-8") == "caf\ufffd.png".encode()
