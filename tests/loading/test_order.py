from __future__ import annotations

import numpy as np
import pytest

from fovea.core.errors import UserError
from fovea.loading.order import Balanced, Shuffled

NAMES = ["cat", "dog", "bird"]


@pytest.fixture
def labels():
    """50 cats, 7 dogs, 3 birds, mixed."""
    return np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 7, 3])).astype(np.int64)


def test_shuffling_gives_every_row_once_and_nothing_before():
    draws = Shuffled(60, seed=0)(3)
    assert sorted(draws.rows.tolist()) == list(range(60))
    assert draws.before is None


def test_balancing_gives_as_many_draws_and_every_class_as_often(labels):
    draws = Balanced(labels, NAMES, seed=0)(0)
    assert len(draws.rows) == 60
    assert np.bincount(labels[draws.rows]).tolist() == [20, 20, 20]


def test_what_does_not_divide_goes_to_classes_that_change(labels):
    order = Balanced(labels[:59], NAMES, seed=0)
    counts = [np.bincount(labels[order(epoch).rows], minlength=3) for epoch in range(20)]
    assert all(sorted(count.tolist()) == [19, 20, 20] for count in counts)
    assert len({int(count.argmin()) for count in counts}) == 3


def test_no_row_of_a_class_is_drawn_once_more_before_the_others(labels):
    rows = Balanced(labels, NAMES, seed=0)(0).rows
    for label, least in ((1, 20 // 7), (2, 20 // 3), (0, 0)):
        times = np.bincount(rows, minlength=60)[labels == label]
        assert set(times.tolist()) == {least, least + 1}


def test_repeated_draws_are_counted_in_order(labels):
    draws = Balanced(labels, NAMES, seed=0)(5)
    seen: dict[int, int] = {}
    for row, before in zip(draws.rows.tolist(), draws.before.tolist(), strict=True):
        assert before == seen.get(row, 0)
        seen[row] = before + 1
    assert max(seen.values()) > 1


def test_balancing_is_a_pure_function_of_seed_and_epoch(labels):
    def rows(seed, epoch):
        return Balanced(labels, NAMES, seed)(epoch).rows.tolist()

    assert rows(0, 4) == rows(0, 4)
    assert len({tuple(rows(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_over_the_epochs_every_row_of_a_large_class_has_its_turn(labels):
    order = Balanced(labels, NAMES, seed=0)
    seen = {row for epoch in range(40) for row in order(epoch).rows.tolist()}
    assert seen == set(range(60))


def test_more_classes_than_rows_are_refused_by_name():
    with pytest.raises(UserError) as caught:
        Balanced(np.array([0, 0, 1]), [*NAMES, "fish"], seed=0)
    assert str(caught.value) == (
        "loader.sampling=balanced needs training pictures of every class, but 'bird' and 1 more have none; add some or "
        "take loader.sampling=shuffle"
    )


def test_a_balanced_epoch_repeats_pictures_with_another_augmentation(module, split, affine):
    train = split("train", 48)
    train.labels[:] = 0
    train.labels[:10] = np.arange(10)
    prepared = type("P", (), {"split": lambda _, name: train, "meta": None})()
    seen: dict[int, list[bytes]] = {}
    for batch in module(prepared, train=affine, sampling="balanced").train_dataloader():
        for row, image in zip(batch.rows.tolist(), batch.images, strict=True):
            seen.setdefault(row, []).append(image.numpy().tobytes())
    often = [images for images in seen.values() if len(images) >= 3]
    assert len(often) >= 5
    assert all(len(set(images)) > 1 for images in often)


def test_the_first_draw_is_augmented_as_without_balancing(module, prepared, affine):
    def by_row(sampling):
        found: dict[int, bytes] = {}
        for batch in module(prepared, train=affine, sampling=sampling).train_dataloader():
            for row, image in zip(batch.rows.tolist(), batch.images, strict=True):
                found.setdefault(row, image.numpy().tobytes())
        return found

    plain, balanced = by_row("shuffle"), by_row("balanced")
    both = plain.keys() & balanced.keys()
    assert len(both) > 30
    assert all(plain[row] == balanced[row] for row in both)


@pytest.mark.parametrize("world_size", [2, 4])
def test_balanced_batches_are_the_same_for_any_number_of_ranks(module, affine, world_size):
    options = {"train": affine, "sampling": "balanced"}
    alone = list(module(**options).train_dataloader())
    ranks = [list(module(rank=r, world_size=world_size, **options).train_dataloader()) for r in range(world_size)]
    for batch, shares in zip(alone, zip(*ranks, strict=True), strict=True):
        assert np.array_equal(batch.rows, np.concatenate([share.rows for share in shares]))
        assert np.array_equal(batch.images, np.concatenate([share.images for share in shares]))
