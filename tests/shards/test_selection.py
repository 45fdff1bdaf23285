"""Rows of splits as a split of their own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fovea.datasets.source import SourceFiles
from fovea.shards import PreparedData, prepare
from fovea.shards.reader import Split
from fovea.shards.selection import Selection

Make = Callable[..., Any]


@pytest.fixture
def prepared(source: SourceFiles, data: Make, config: Make) -> PreparedData:
    return prepare(source, data(), config())[0]


@pytest.fixture
def selection(prepared: PreparedData) -> Selection:
    """Rows 1, 3 and 4 of the training split, none of validation, and rows 0 and 2 of test."""
    rows = {"train": [1, 3, 4], "val": [], "test": [0, 2]}
    return Selection("val", [(prepared.split(name), np.array(chosen, np.int64)) for name, chosen in rows.items()])


def test_it_holds_the_chosen_rows_in_order(selection: Selection, prepared: PreparedData) -> None:
    train, test = prepared.split("train"), prepared.split("test")
    assert (len(selection), selection.name, selection.encoded) == (5, "val", False)
    assert selection.labels.tolist() == [*train.labels[[1, 3, 4]], *test.labels[[0, 2]]]
    assert selection.keys.tolist() == [*train.keys[[1, 3, 4]], *test.keys[[0, 2]]]
    assert selection.sizes.tolist() == [[4, 4]] * 5
    assert list(selection.ids) == [train.ids[1], train.ids[3], train.ids[4], test.ids[0], test.ids[2]]
    assert selection.ids[1:4] == [train.ids[3], train.ids[4], test.ids[0]]


def test_one_picture_and_all_at_once_are_those_of_the_splits(selection: Selection, prepared: PreparedData) -> None:
    train, test = prepared.split("train"), prepared.split("test")
    expected = np.stack([train.image(1), train.image(3), train.image(4), test.image(0), test.image(2)])
    images = selection.images()
    assert images is not None
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(np.stack([selection.image(row) for row in range(5)]), expected)
    np.testing.assert_array_equal(selection.file(4), test.file(2))
    for row in (-1, 5):
        with pytest.raises(IndexError, match=f"row {row} of 5"):
            selection.image(row)


def test_another_process_opens_the_same(selection: Selection) -> None:
    text = pickle.dumps(selection)
    again = pickle.loads(text)  # noqa: S301
    assert len(text) < 10_000  # paths and rows, no pictures
    assert again.keys.tolist() == selection.keys.tolist()
    np.testing.assert_array_equal(again.images(), selection.images())


def test_what_was_computed_for_whole_splits_serves_a_selection(selection: Selection, prepared: PreparedData) -> None:
    def features(split: Any) -> np.ndarray:
        return split.images().mean(axis=(1, 2, 3))

    shared = np.concatenate([features(base)[rows] for base, rows in selection.parts])
    np.testing.assert_array_equal(shared, features(selection))
    ((base, rows),) = prepared.split("train").parts
    np.testing.assert_array_equal(features(base)[rows], features(prepared.split("train")))


class Encoded(Split):
    """Three picture files; a picture is what it was asked with."""

    def __init__(self) -> None:
        self.name, self.encoded = "train", True
        self.labels, self.keys = np.zeros(3, np.int64), np.arange(3, dtype=np.uint64)
        self.sizes, self.ids = np.full((3, 2), 8, np.int32), ["a", "b", "c"]

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> Any:
        return row, least_side, fast


def test_encoded_pictures_are_decoded_one_by_one() -> None:
    selection = Selection("train", [(Encoded(), np.array([0, 2]))])
    assert selection.images() is None
    assert selection.image(1, least_side=7, fast=True) == (2, 7, True)
