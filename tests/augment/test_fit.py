"""Pictures of any size come to the network's."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fovea.augment import build, build_eval, fit
from fovea.augment.rehearsal import extremes

SIZES = [(28, 28), (500, 375), (375, 500), (20, 900), (31, 9), (1, 1), (29, 28), (2000, 3)]
FLIP = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}
CROP = {"_target_": "albumentations.RandomResizedCrop", "size": [28, 28], "p": 1.0}


def noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_any_size_becomes_the_networks(size, channels):
    picture = noise(*size, channels)
    before = picture.copy()
    result = fit(picture, 28)
    assert (result.shape, result.dtype) == ((28, 28, channels), np.uint8)
    assert np.array_equal(picture, before)


def test_a_picture_of_the_size_is_given_back_as_it_is():
    picture = noise(28, 28)
    assert fit(picture, 28) is picture


def test_the_centre_is_kept_and_the_ends_of_the_long_side_go():
    picture = np.zeros((10, 30, 1), np.uint8)
    picture[:, 10:20] = 200
    assert np.array_equal(fit(picture, 10), picture[:, 10:20])
    assert np.array_equal(fit(picture.transpose(1, 0, 2), 5), np.full((5, 5, 1), 200))


def test_shrinking_averages_and_growing_interpolates():
    checks = np.indices((8, 8)).sum(axis=0)[:, :, None].astype(np.uint8) % 2 * 200
    assert np.array_equal(fit(checks, 4), np.full((4, 4, 1), 100))
    ramp = fit(np.array([[[0], [90]], [[0], [90]]], np.uint8), 6)[0, :, 0]
    assert (np.diff(ramp.astype(int)) >= 0).all()
    assert len(set(ramp.tolist())) > 2


@pytest.mark.parametrize("size", SIZES[:5])
@pytest.mark.parametrize("entries", [[], [FLIP], [CROP], [CROP, FLIP]])
def test_augmentation_takes_any_size(size, entries):
    picture = noise(*size)
    augmenter = build(entries, channels=3, image_size=28, sizes=np.array(SIZES[:5]))
    result = augmenter(picture, seed=0, epoch=0, key=1)
    assert result.shape == (28, 28, 3)
    if entries in ([], [FLIP]):
        assert np.array_equal(result, fit(picture[:, :: -1 if entries else 1], 28))


def test_a_picture_lying_otherwise_in_memory_is_the_same_picture():
    picture = np.rot90(noise(40, 60))
    entries = [CROP, FLIP, {"_target_": "albumentations.ColorJitter", "p": 1.0}]
    augmenter = build(entries, channels=3, image_size=28)
    straight = augmenter(np.ascontiguousarray(picture), seed=0, epoch=0, key=1)
    assert np.array_equal(augmenter(picture, seed=0, epoch=0, key=1), straight)


def test_evaluation_takes_no_notice_of_seed_epoch_and_key():
    entries = [{"_target_": "albumentations.RandomCrop", "height": 20, "width": 20, "p": 1.0}]
    view = build_eval(entries, channels=3, image_size=28)
    picture = noise(40, 60)
    results = {view(picture, seed=s, epoch=e, key=k).tobytes() for s in (0, 1) for e in (0, 1) for k in (0, 2**63)}
    results |= {pickle.loads(pickle.dumps(view))(picture).tobytes()}  # noqa: S301
    assert len(results) == 1


def test_the_oddest_sizes_are_tried_and_none_much_larger_than_needed():
    sizes = np.array([[100, 100], [50, 200], [400, 40], [5000, 6000], [60, 1000], [900, 45]], np.int32)
    assert extremes(sizes, 28) == [(50, 112), (60, 112), (112, 40), (112, 45)]
    assert extremes(sizes[:0], 28) == [(28, 28)]
