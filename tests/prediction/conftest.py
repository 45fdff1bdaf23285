"""Pictures of three shades, and a model that tells them apart, small enough to know every number."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fovea.augment import Augmenter
from fovea.pictures.pillow import packed
from fovea.prediction.predictor import Predictor

CLASSES = ["ant", "bee", "cat"]
SHADES = {"ant": 0, "bee": 127, "cat": 255}
SIZE = 4


def brightness(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Class 0 for dark, 1 for grey and 2 for bright pictures; logits fall with the distance from 0, 127 and 255."""
    level = pictures.astype(np.float32).mean(axis=(1, 2, 3))
    return -np.abs((level[:, None] - np.array([0, 127, 255], np.float32)) / 50)


def predictor_of(*transforms: dict[str, object], **changes: object) -> Predictor:
    view = Augmenter(transforms, channels=1, image_size=SIZE, where="augment.eval", fixed=True)
    given: dict[str, object] = {"words": "shades", "classes": CLASSES, "channels": 1, "view": view}
    return Predictor(**{**given, "logits": brightness, **changes})  # type: ignore[arg-type]


@pytest.fixture
def make_predictor() -> Callable[..., Predictor]:
    """A model, with transforms and other changes."""
    return predictor_of


@pytest.fixture
def predictor() -> Predictor:
    return predictor_of()


@pytest.fixture
def png() -> Callable[[str], bytes]:
    """A file of the shade of a class."""
    return lambda name: packed(np.full((9, 9, 1), SHADES[name], np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dark, a grey and a bright picture, and two files that are none."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for name, level in (("a.png", 0), ("c.png", 127), ("deep/e.png", 255)):
        cv2.imwrite(str(source / name), np.full((9, 9), level, np.uint8))
    (source / "b.jpg").write_text("no picture")
    (source / "deep" / "d.png").touch()
    (source / "notes.txt").write_text("not named like one")
    return source


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """Makes a zip archive of members by their names."""

    def make(members: dict[str, bytes], name: str = "pictures.zip") -> Path:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as stream:
            for member, data in members.items():
                stream.writestr(member, data)
        return tmp_path / name

    return make
