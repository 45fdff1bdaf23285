"""Logits of a split: in order, whole, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fovea.augment import build_eval, fit
from fovea.evaluation.infer import batch_logits, logits, pictures

PLAIN = build_eval([], channels=1, image_size=4)
FLIP = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}


class Spy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.dtype == torch.uint8
        assert torch.is_inference_mode_enabled()
        self.seen.append(tuple(images.shape))
        return images.flatten(1)[:, :2].double()


@pytest.mark.parametrize("in_one_piece", [True, False])
def test_every_picture_is_seen_once_in_order_and_none_is_added(make_split, in_one_piece: bool) -> None:
    split = make_split(range(7), [0] * 7, in_one_piece=in_one_piece)
    spy = Spy()
    found = logits(spy, split, PLAIN, batch_size=3)
    assert spy.seen == [(3, 1, 4, 4), (3, 1, 4, 4), (1, 1, 4, 4)]
    assert found.tolist() == [[row, row] for row in range(7)]
    assert found.dtype == np.float32


def test_an_empty_split_gives_no_logits(make_split) -> None:
    assert logits(Spy(), make_split([], []), PLAIN, batch_size=3).shape == (0, 0)


def test_pixels_of_the_right_size_are_not_copied(make_split) -> None:
    split = make_split(range(7), [0] * 7)
    assert np.shares_memory(pictures(split, PLAIN, 2, 3), split.pixels)


def test_pictures_of_any_size_are_brought_to_the_networks(make_split) -> None:
    split = make_split([0, 0], [0, 0], in_one_piece=False)
    shapes = [(9, 6, 1), (4, 20, 1)]
    split.pixels = [np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    seen = pictures(split, PLAIN, 0, 10)
    assert seen.shape == (2, 4, 4, 1)
    assert np.array_equal(seen, np.stack([fit(image, 4) for image in split.pixels]))


@pytest.mark.parametrize("in_one_piece", [True, False])
def test_the_models_own_transforms_are_applied(make_split, in_one_piece: bool) -> None:
    split = make_split([0], [0], in_one_piece=in_one_piece)
    split.pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    view = build_eval([FLIP], channels=1, image_size=4)
    assert np.array_equal(pictures(split, view, 0, 1), split.pixels[:, :, ::-1])


def test_pictures_of_a_read_only_map_are_taken_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    images = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    images.flags.writeable = False
    assert batch_logits(Spy(), images).tolist() == [[0, 3], [12, 15]]
    assert not recwarn.list
