"""What is done to pictures before and after the network sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fovea.evaluation.corruptions import CORRUPTIONS, SEVERITIES, brightness, robustness, robustness_plot, rotation
from fovea.evaluation.tta import averaged, looks


class Plain:
    """A view that leaves pictures as they are."""

    is_plain, image_size = True, 4


@pytest.fixture(params=[1, 3], ids="{} channels".format)
def image(request: pytest.FixtureRequest) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, (32, 32, request.param), np.uint8)


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_each_changes_a_picture_more_with_each_severity_and_the_same_in_every_call(
    image: np.ndarray, name: str
) -> None:
    before, differences = image.copy(), []
    for severity in SEVERITIES:
        worse = CORRUPTIONS[name](image, severity, 3)
        assert (worse.shape, worse.dtype) == (image.shape, np.uint8)
        assert (worse == CORRUPTIONS[name](image, severity, 3)).all()
        differences.append(float(np.abs(worse.astype(int) - image).mean()))
    assert differences[0] > 0
    assert differences[-1] > differences[0]
    assert (image == before).all()


def test_noise_differs_from_picture_to_picture(image: np.ndarray) -> None:
    assert (CORRUPTIONS["noise"](image, 1, 0) != CORRUPTIONS["noise"](image, 1, 1)).any()


def test_brighter_pictures_keep_their_hue_and_black_becomes_grey() -> None:
    colours = np.array([[[100, 50, 0], [0, 0, 0], [250, 125, 0]]], np.uint8)
    expected = np.array([[[126, 63, 0], [26, 26, 26], [255, 128, 0]]])
    assert np.abs(brightness(colours, 1, 0).astype(int) - expected).max() <= 1


def test_pictures_turn_one_way_and_the_other(image: np.ndarray) -> None:
    assert (rotation(image, 5, 0) != rotation(image, 5, 1)).any()
    grey = np.full((9, 9, 1), 70, np.uint8)
    assert (rotation(grey, 3, 0) == 70).all()


def test_accuracy_falls_where_the_network_looks_at_what_is_changed(make_split: Any, model: Any) -> None:
    split = make_split([0, 127, 255, 0], [0, 1, 2, 0])
    table = robustness(model.network(), split, Plain(), ["brightness", "blur"], 3)
    assert list(zip(table["corruption"], table["severity"], strict=True)) == [
        (name, severity) for name in ("brightness", "blur") for severity in SEVERITIES
    ]
    assert table["acc"].tolist()[:5] == [1.0, 1.0, 0.25, 0.25, 0.25]
    assert table["acc"].tolist()[5:] == [1.0] * 5
    (axes,) = robustness_plot(table, 1.0).axes
    assert [line.get_label() for line in axes.lines] == ["brightness", "blur"]
    assert axes.lines[0].get_ydata().tolist() == [1.0, *table["acc"].tolist()[:5]]


@pytest.mark.parametrize(("kinds", "count"), [([], 1), (["flip"], 2), (["crops"], 6), (["flip", "crops"], 12)])
def test_looks_are_counted_and_keep_their_shape(kinds: list[str], count: int) -> None:
    images = np.random.default_rng(1).integers(0, 255, (2, 16, 12, 3), np.uint8)
    found = list(looks(images, kinds))
    assert len(found) == count
    assert {look.shape for look in found} == {images.shape}
    assert (found[0] == images).all()
    if "flip" in kinds:
        assert (found[1] == images[:, :, ::-1]).all()


class LeftEdge(nn.Module):
    """Class 1 for a bright left edge."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        level = images[:, 0, :, 0].float().mean(dim=1)
        return torch.stack([torch.zeros_like(level), level], dim=1)


def test_probabilities_of_a_picture_and_its_mirror_image_are_averaged(make_split: Any) -> None:
    split = make_split([0, 0], [0, 1])
    split.pixels[0, :, 0] = 100  # bright at the left
    found = averaged(LeftEdge(), split, Plain(), ["flip"], 1)
    assert found == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))
