"""Hashes that stay when a picture is saved again, and differ between pictures."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fovea.pictures import Limits, decode, examine, near_duplicates
from fovea.pictures.hashes import appearance
from fovea.pictures.turn import turned


def differing(first: int, second: int) -> int:
    return (first ^ second).bit_count()


@pytest.mark.parametrize("options", [{"quality": 50}, {"progressive": True}, {"subsampling": 0}])
def test_hashes_stay_when_a_picture_is_saved_again(photo: Any, encoded: Any, options: dict[str, Any]) -> None:
    for seed in range(20):
        phash, dhash, _ = appearance(photo(seed, 200, 300), 1)
        again = appearance(decode(encoded(photo(seed, 200, 300), "JPEG", **options), 3), 1)
        assert differing(phash, again[0]) <= 4
        assert differing(dhash, again[1]) <= 6


@pytest.mark.parametrize("turn", range(1, 9))
def test_hashes_are_those_of_the_upright_picture(photo: Any, turn: int) -> None:
    # 96 x 96: the sampled pixels are the same in either direction.
    pixels = photo(1, 96, 96)
    assert appearance(pixels, turn) == appearance(turned(pixels, turn), 1)


def test_grey_and_colour_of_the_same_picture_are_alike(photo: Any) -> None:
    pixels = photo(2)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None]
    assert appearance(grey, 1) == appearance(pixels, 1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 1), (500, 1, 3), (40, 40, 1), (3, 2000, 3)])
def test_a_flat_picture_of_any_shape_shows_nothing(shape: tuple[int, int, int]) -> None:
    pixels = np.full(shape, 77, np.uint8)
    assert appearance(pixels, 1) == (0, 0, 77.0)


def test_half_of_the_bits_are_set(photo: Any) -> None:
    assert {appearance(photo(seed), 1)[0].bit_count() for seed in range(10)} == {32}


@pytest.mark.realdata
@pytest.mark.slow
def test_real_pictures_are_told_apart_and_found_again(real_data: Path) -> None:
    originals, again = [], []
    with zipfile.ZipFile(real_data / "cats_vs_dogs" / "kagglecatsanddogs_mini.zip") as archive:
        for name in archive.namelist():
            found = examine(archive.read(name), name, Limits())
            if found.reason is not None:
                continue
            originals.append(found)
            pixels = decode(found.packed, found.channels)
            saved = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
            small = cv2.resize(pixels, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
            small = small.reshape(*small.shape[:2], -1)
            again += [appearance(decode(saved, 1), 1), appearance(small, 1)]
    phash = np.array([one.phash for one in originals], np.uint64)
    dhash = np.array([one.dhash for one in originals], np.uint64)
    # The eight copies in the sample, and no two others.
    assert [len(near_duplicates(phash, dhash, distance)) for distance in (4, 6, 8)] == [8, 8, 8]
    near = [
        differing(one.phash, phash_) <= 6 and differing(one.dhash, dhash_) <= 14
        for one, (phash_, dhash_, _) in zip(np.repeat(np.array(originals, object), 2), again, strict=True)
    ]
    assert np.mean(near) > 0.999
