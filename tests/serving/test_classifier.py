"""Pictures of any kind to probabilities, and what is refused before it is decoded."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from fovea.pictures.pillow import packed
from fovea.serving import classifier as module
from fovea.serving.classifier import BadPicture, Classifier


def test_a_file_and_its_pixels_say_the_same(classifier: Classifier, picture) -> None:
    seen = [classifier.encoded(picture(10)), classifier.array(np.full((20, 20, 3), 10, np.int64))]
    np.testing.assert_array_equal(*seen)
    assert seen[0].shape == (8, 8, 3)


def test_probabilities_are_those_of_the_softmax(classifier: Classifier, picture) -> None:
    found = classifier.probabilities([classifier.encoded(picture(value)) for value in (127, 129, 255)])
    expected = 1 / (1 + np.exp([2.0, -2.0, -254.0]))
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_grey_files_become_what_the_model_takes(classifier: Classifier) -> None:
    assert classifier.encoded(packed(np.full((9, 9, 1), 200, np.uint8))).shape == (8, 8, 3)


def test_pictures_go_through_the_transforms_of_the_test(make_classifier, picture) -> None:
    inverted = make_classifier(transforms=[{"_target_": "albumentations.InvertImg", "p": 1.0}])
    assert inverted.encoded(picture(0)).min() == 255


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"a text that is named .jpg", "not a picture"),
        (bytes(100_000), "not a picture"),
        (packed(np.zeros((20, 20, 3), np.uint8))[:60], "the end of the file is missing"),
        (b"%PDF-1.7 and so on", "a kind of picture that is not read"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(classifier: Classifier, data: bytes, reason: str) -> None:
    with pytest.raises(BadPicture, match=f"^{reason}$"):
        classifier.encoded(data)


def test_a_bomb_is_refused_before_it_is_decoded(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
    monkeypatch.setattr(module, "decode", None)
    with pytest.raises(BadPicture, match="too many pixels to be decoded, and hardly any bytes"):
        classifier.encoded(bomb)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((8, 8), np.uint8), r"an array of shape \[8, 8\]; wanted is \[height, width, 3 \(RGB\)\]"),
        (np.zeros((0, 8, 3), np.uint8), r"an array of shape \[0, 8, 3\]"),
        (np.zeros((8, 8, 3)), "an array of float64; wanted are whole numbers of 0 to 255"),
        (np.full((8, 8, 3), 256), "an array of int64; wanted are whole numbers of 0 to 255"),
    ],
)
def test_other_arrays_are_refused(classifier: Classifier, array: np.ndarray, words: str) -> None:
    with pytest.raises(BadPicture, match=words):
        classifier.array(array)


def test_probabilities_are_at_the_temperature_of_the_run(make_classifier) -> None:
    seen = [np.full((8, 8, 3), 129, np.uint8)]  # logits 1 less and 1 more than 0
    for temperature, factor in ((None, 2.0), (4.0, 0.5)):
        found = make_classifier(temperature=temperature).probabilities(seen)
        np.testing.assert_allclose(found, [[1 / (1 + np.exp(factor)), 1 / (1 + np.exp(-factor))]], rtol=1e-5)
