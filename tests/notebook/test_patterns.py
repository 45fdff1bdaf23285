from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fovea.core.errors import RunError
from fovea.notebook.patterns import PATTERNS, pattern, write_patterns


@pytest.mark.parametrize("name", PATTERNS)
def test_a_picture_is_the_same_every_time_and_unlike_its_neighbour(name: str) -> None:
    picture = pattern(name, 3, side=40)
    assert picture.shape == (40, 40, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, pattern(name, 3, side=40))
    assert not np.array_equal(picture, pattern(name, 4, side=40))
    assert picture.mean(axis=2).std() > 10, "the two colours can be told apart"


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_gives_shares(name: str) -> None:
    u, v = np.mgrid[-3:3:50j, -3:3:50j]
    values = PATTERNS[name](u, v)
    assert values.shape == (50, 50)
    assert values.min() == pytest.approx(0, abs=0.02)
    assert values.max() == pytest.approx(1, abs=0.02)


def test_a_folder_has_its_splits_and_no_picture_twice(tmp_path: Path) -> None:
    folder = write_patterns(tmp_path / "patterns", {"train": 3, "val": 1, "test": 2}, side=16)
    assert sorted(path.name for path in folder.iterdir()) == ["test", "train", "val"]
    assert [path.name for path in sorted((folder / "test" / "rings").iterdir())] == ["004.png", "005.png"]
    pictures = sorted(folder.rglob("*.png"))
    assert len(pictures) == 6 * len(PATTERNS)
    assert len({path.read_bytes() for path in pictures}) == len(pictures)
    read = cv2.imread(str(folder / "val" / "dots" / "003.png"))
    assert np.array_equal(read[:, :, ::-1], pattern("dots", 3, side=16))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="a part of the path is a file"):
        write_patterns(tmp_path / "file" / "patterns", {"train": 1, "val": 1, "test": 1})
