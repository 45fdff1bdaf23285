"""Prepared data parted for cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fovea.core.errors import UserError
from fovea.datasets.source import SourceFiles
from fovea.shards import PreparedData, prepare
from fovea.shards.folds import Parting, assign, folds_of, groups, reopen
from fovea.shards.meta import Meta
from fovea.shards.pack import pack

Make = Callable[..., Any]
PARTING = Parting(5, ("train", "val"), 0)


@pytest.fixture
def prepared(source: SourceFiles, data: Make, config: Make) -> PreparedData:
    return prepare(source, data(), config())[0]


def contents(count: int, first: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


def test_each_picture_is_held_out_once(prepared: PreparedData) -> None:
    folds = folds_of(prepared, PARTING)
    everything = sorted([*prepared.split("train").ids, *prepared.split("val").ids])
    held_out = [list(fold.split("val").ids) for fold in folds]
    assert sorted(name for names in held_out for name in names) == everything
    for fold, names in zip(folds, held_out, strict=True):
        assert sorted([*fold.split("train").ids, *names]) == everything
        assert not set(fold.split("train").ids) & set(names)
        counts = {name: len(fold.split(name)) for name in ("train", "val", "test")}
        assert fold.meta.counts == counts


def test_every_fold_has_its_share_of_every_class(prepared: PreparedData) -> None:
    folds = folds_of(prepared, PARTING)
    for label in range(3):
        counts = [int((fold.split("val").labels == label).sum()) for fold in folds]
        assert max(counts) - min(counts) <= 1


def test_the_test_split_stays_apart_unless_it_is_named(prepared: PreparedData) -> None:
    test = set(prepared.split("test").ids)
    apart = folds_of(prepared, PARTING)[0]
    assert set(apart.split("test").ids) == test
    assert not test & {*apart.split("train").ids, *apart.split("val").ids}
    parted = folds_of(prepared, Parting(5, ("train", "val", "test"), 0))
    assert len(parted[0].split("test")) == 0
    assert test <= {name for fold in parted for name in fold.split("val").ids}


def test_a_fold_has_a_digest_of_its_own_and_the_datas_facts(prepared: PreparedData) -> None:
    folds = folds_of(prepared, PARTING)
    digests = {fold.meta.digest for fold in [prepared, *folds, *folds_of(prepared, Parting(5, PARTING.splits, 1))]}
    assert len(digests) == 11
    assert [fold.meta.digest for fold in folds_of(prepared, PARTING)] == [fold.meta.digest for fold in folds]
    assert {fold.origin.meta.digest for fold in folds} == {prepared.meta.digest}
    assert (folds[0].meta.classes, folds[0].path) == (prepared.meta.classes, prepared.path)


def test_a_fold_is_opened_again_by_its_address(prepared: PreparedData) -> None:
    fold = folds_of(prepared, PARTING)[2]
    again = reopen(fold.address)
    assert again.meta == fold.meta
    assert list(again.split("val").ids) == list(fold.split("val").ids)
    assert reopen(prepared.address) == prepared


def test_more_folds_than_pictures_of_a_class_are_refused(prepared: PreparedData) -> None:
    least = min(np.bincount(np.concatenate([prepared.split(name).labels for name in ("train", "val")])))
    with pytest.raises(
        UserError, match=rf"crossval\.folds=100, but class '.' has \d+ pictures.*folds={least} or"
    ) as no:
        folds_of(prepared, Parting(100, ("train", "val"), 0))
    assert "train, val" in str(no.value)


def test_added_pictures_move_few_others() -> None:
    labels = np.arange(1000) % 2
    rows = np.arange(1000)
    before = assign(contents(1000), labels, rows, 5, 0)
    more = [*contents(10, 5000), *contents(1000)]
    after = assign(more, np.concatenate([np.zeros(10, np.int64), labels]), np.arange(1010), 5, 0)[10:]
    assert (before[labels == 1] == after[labels == 1]).all()
    assert 0 < (before != after).sum() <= 40  # ten at each of the four cuts of their class
    order = np.random.default_rng(0).permutation(1000)
    shuffled = assign([contents(1000)[row] for row in order], labels[order], rows, 5, 0)
    np.testing.assert_array_equal(shuffled, before[order])


def test_another_seed_parts_differently() -> None:
    labels, rows = np.zeros(1000, np.int64), np.arange(1000)
    one, other = (assign(contents(1000), labels, rows, 5, seed) for seed in (0, 1))
    assert 100 < (one == other).sum() < 300  # a fifth by chance
    assert np.bincount(other).tolist() == [0, 200, 200, 200, 200, 200]


def test_a_group_shares_a_fold_and_the_folds_stay_even() -> None:
    group = np.arange(300) // 3 * 3
    numbers = assign(contents(300), np.zeros(300, np.int64), group, 5, 0)
    assert (numbers.reshape(100, 3) == numbers[::3, None]).all()
    assert np.bincount(numbers)[1:].tolist() == [60] * 5


def test_groups_reach_through_others() -> None:
    pairs = np.array([[5, 3], [3, 7], [1, 2], [8, 5]])
    assert groups(9, pairs).tolist() == [0, 1, 1, 3, 4, 3, 6, 3, 3]
    assert groups(3, np.empty((0, 2), np.int64)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("near_distance", [6, None])
def test_copies_share_a_fold(
    near_distance: int | None, tmp_path: Path, encoded: Make, drawn: Make, data: Make, config: Make
) -> None:
    """Twenty pictures, each as JPEG of two qualities (near) or twice as the same pixels in two formats (exact)."""
    images = [drawn(number, height=100, width=120) for number in range(20)]
    if near_distance is None:
        twins = [[cv2.imencode(kind, image)[1] for image in images] for kind in (".bmp", ".png")]
    else:
        qualities = ([cv2.IMWRITE_JPEG_QUALITY, quality] for quality in (95, 70))
        twins = [[cv2.imencode(".jpg", image, quality)[1] for image in images] for quality in qualities]
    names = [f"{kind}{number}" for kind in "ab" for number in range(20)]
    samples = encoded([bytes(file) for kind in twins for file in kind], ids=names, labels=np.arange(40) % 2)
    settings = config(near_distance=near_distance, duplicates="keep", test_fraction=0.01, val_fraction=0.01)
    written = pack([samples], tmp_path, data(channels=3, classes=["a", "b"]), settings)
    meta = Meta(
        name="twins",
        classes=("a", "b"),
        channels=3,
        image_size=None,
        digest="d",
        source_digest="s",
        settings={"prepare": {"near_distance": near_distance}},
        **{field.name: getattr(written, field.name) for field in fields(written)},
    )
    folds = folds_of(PreparedData(tmp_path, meta), Parting(4, ("train", "val", "test"), 0))
    fold_of = {name: fold.number for fold in folds for name in fold.split("val").ids}
    both = [n for n in range(20) if f"a{n}" in fold_of and f"b{n}" in fold_of]  # near ones in two splits lose one
    assert len(both) >= 15
    assert [fold_of[f"a{n}"] for n in both] == [fold_of[f"b{n}"] for n in both]
    assert set(fold_of.values()) == {1, 2, 3, 4}
