from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fovea.augment import fit
from fovea.core.errors import RunError, UserError


def of(train):
    """Prepared data of which only the training part matters."""
    return SimpleNamespace(split=lambda _: train, meta=None)


def rows_of(batches):
    return [batch.rows.tolist() for batch in batches]


def test_every_row_at_most_once_an_epoch_and_the_rest_left_out(module):
    rows = np.concatenate(rows_of(module().train_dataloader()))
    assert len(rows) == 48
    assert len(set(rows.tolist())) == 48
    assert set(rows.tolist()) <= set(range(50))


def test_a_set_smaller_than_a_batch_is_one_batch(module):
    assert [sorted(rows) for rows in rows_of(module(batch_size=64).train_dataloader())] == [list(range(50))]


def test_pictures_labels_and_rows_belong_together(module, prepared):
    batches = list(module(prepared).train_dataloader())
    for batch in batches:
        assert batch.images.shape == (8, 1, 8, 8)
        assert (batch.images.dtype, batch.labels.dtype, batch.rows.dtype) == (torch.uint8, torch.int64, torch.int64)
        assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.rows)
        assert torch.equal(batch.labels, batch.rows % 10)
        expected = prepared.train.images()[batch.rows.numpy()].transpose(0, 3, 1, 2)
        assert np.array_equal(batch.images.numpy(), expected)


@pytest.mark.parametrize("kind", ["prepared", "encoded"])
def test_three_channels_come_channels_last_without_a_copy(module, split, kind):
    pictures = split("train", 12, channels=3, encoded=kind == "encoded")
    batch = next(iter(module(of(pictures)).train_dataloader()))
    assert batch.images.shape == (8, 3, 8, 8)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    rows = batch.rows.tolist()
    assert np.array_equal(batch.images.numpy(), np.stack([pictures.image(i) for i in rows]).transpose(0, 3, 1, 2))


def test_pictures_may_be_decoded_one_by_one(module, prepared, encoded):
    plain, decoded = module(prepared).train_dataloader(), module(encoded).train_dataloader()
    for one, other in zip(plain, decoded, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


def test_epochs_and_seeds_differ(module):
    loader = module().train_dataloader()
    first = rows_of(loader)
    loader.batch_sampler.sampler.set_epoch(1)
    assert rows_of(loader) != first
    assert rows_of(module(seed=1).train_dataloader()) != first
    assert rows_of(module().train_dataloader()) == first


def test_augmented_epochs_differ_in_pixels_and_not_in_labels(module, affine):
    loader = module(train=affine).train_dataloader()
    epochs = []
    for epoch in (0, 1):
        loader.batch_sampler.sampler.set_epoch(epoch)
        batches = list(loader)
        order = torch.cat([b.rows for b in batches])
        images = torch.cat([b.images for b in batches])
        assert torch.equal(torch.cat([b.labels for b in batches]), order % 10)
        epochs.append({row: images[i] for i, row in enumerate(order.tolist())})
    both = epochs[0].keys() & epochs[1].keys()
    assert sum(torch.equal(epochs[0][row], epochs[1][row]) for row in both) < len(both) / 4


def test_validation_and_test_are_complete_ordered_and_unaugmented(module, prepared, affine):
    data = module(prepared, train=affine)
    for name, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        split = prepared.split(name)
        batches = list(loader)
        assert len(batches) == len(loader)
        assert np.concatenate(rows_of(batches)).tolist() == list(range(len(split)))
        assert np.array_equal(torch.cat([b.images for b in batches]).numpy(), split.images().transpose(0, 3, 1, 2))


def test_limit_batches_limits_each_kind(module):
    data = module(limit_batches=2)
    assert rows_of(data.train_dataloader()) == rows_of(module().train_dataloader())[:2]
    assert rows_of(data.val_dataloader()) == [list(range(10)), list(range(10, 20))]
    assert rows_of(data.test_dataloader()) == [list(range(7))]
    assert [len(data.train_dataloader()), len(data.val_dataloader())] == [2, 2]


def test_overfit_batches_trains_and_validates_on_the_same_plain_pictures(module, prepared, affine):
    data = module(prepared, overfit_batches=2, train=affine)
    loader = data.train_dataloader()
    first = list(loader)
    assert rows_of(first) == rows_of(module(prepared).train_dataloader())[:2]
    loader.batch_sampler.sampler.set_epoch(1)
    second = list(loader)
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, second, strict=True))
    rows, images = (torch.cat([getattr(b, name) for b in first]) for name in ("rows", "images"))
    assert np.array_equal(images.numpy(), prepared.train.images()[rows.numpy()].transpose(0, 3, 1, 2))
    validated = list(data.val_dataloader())
    assert torch.equal(torch.cat([b.rows for b in validated]), rows)
    assert torch.equal(torch.cat([b.images for b in validated]), images)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(module):
    with pytest.raises(UserError) as caught:
        module(batch_size=9, world_size=2)
    assert str(caught.value) == "loader.batch_size 9 cannot be shared evenly by 2 processes; choose a multiple of 2"


def test_an_empty_part_is_refused(module, prepared, split):
    prepared.val = split("val", 0)
    with pytest.raises(UserError) as caught:
        module(prepared).val_dataloader()
    assert str(caught.value) == (
        "the val part of data 'fake' has 0 pictures and needs at least 1; change the fractions in prepare"
    )


def test_prepared_pixels_of_another_size_stop_the_run(module):
    with pytest.raises(RunError, match=r"8x8x1 but the configuration says 28x28x1 \(height, width, channels\)"):
        next(iter(module(data={"image_size": 28}).train_dataloader()))


def test_encoded_pictures_are_fitted(module, ragged):
    data = module(ragged)
    for name, loader in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
        split = ragged.split(name)
        for batch in loader:
            expected = [fit(split.image(row), 8) for row in batch.rows.tolist()]
            assert np.array_equal(batch.images.numpy(), np.stack(expected).transpose(0, 3, 1, 2))


def test_training_pictures_alone_are_decoded_fast_and_scaled(module, ragged):
    data = module(ragged, fast_decode=True, scaled_decode=True)
    list(data.train_dataloader()), list(data.val_dataloader()), list(data.test_dataloader())
    assert {tuple(rest) for _, *rest in ragged.train.asked} == {(16, True)}
    for split in (ragged.val, ragged.test):
        assert {tuple(rest) for _, *rest in split.asked} == {(None, False)}


def test_evaluation_has_transforms_of_its_own(module, prepared, encoded):
    flip = [{"_target_": "albumentations.HorizontalFlip", "p": 1.0}]
    for source in (prepared, encoded):
        images = torch.cat([batch.images for batch in module(source, eval=flip).val_dataloader()])
        assert torch.equal(images.flip(3), torch.cat([batch.images for batch in module(source).val_dataloader()]))


def test_a_picture_that_cannot_be_read_is_named_in_one_sentence(module, ragged):
    for workers in (0, 1):
        ragged.train.broken = 7
        with pytest.raises(RunError) as caught:
            list(module(ragged, num_workers=workers, batch_size=50).train_dataloader())
        assert str(caught.value) == "picture 'train/7' cannot be read"


def test_a_wrong_transform_is_refused_before_any_batch(module):
    with pytest.raises(UserError, match="did you mean 'albumentations"):
        module(train=[{"_target_": "albumentations.Afine"}])


def test_a_wrong_evaluation_transform_is_refused_before_any_batch(module, encoded):
    with pytest.raises(UserError, match=r"augment\.eval.*did you mean 'albumentations"):
        module(encoded, eval=[{"_target_": "albumentations.Afine"}])
