"""Kernels and activation maps: which layers, which numbers, and sheets that show them as they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fovea.core.errors import UserError
from fovea.evaluation.insides import Maps, activation_maps, check_layers, first_kernels, samples
from fovea.evaluation.mosaics import kernels_mosaic, maps_mosaic
from fovea.models.layer_rows import LayerRow
from fovea.models.normalize import NormalizedNet


class Floats(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float()


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(channels, 4, 3, padding=1) for channels in (1, 4, 4, 4)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    net = nn.Sequential(*convolutions, *head)
    return NormalizedNet(net, [0.5], [0.25]).eval()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 6, 6, 1), np.uint8)


def test_the_first_a_middle_and_the_last_convolution_are_shown(network, images) -> None:
    maps = activation_maps(network, images, "auto")
    assert [one.layer for one in maps] == ["0", "2", "3"]
    with torch.no_grad():
        seen = network.net[0](network.normalize(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())))
    assert np.array_equal(maps[0].values, seen.numpy())
    assert not any(module._forward_hooks for module in network.modules())


def test_layers_by_name_and_those_without_maps(network, images) -> None:
    assert [one.layer for one in activation_maps(network, images, ["1", "4", "6"])] == ["1", "4"]
    with pytest.raises(UserError, match=r"names '9', which is no layer of the network"):
        activation_maps(network, images, ["9"])


def test_names_are_checked_against_the_table() -> None:
    rows = [
        LayerRow("features.0", "Conv2d", (6, 28, 28), 156, 117_600, (5, 5), (1, 1)).plain(),
        LayerRow("classifier", "Linear", (10,), 850, 840, (32, 32), (4, 4)).plain(),
    ]
    check_layers("auto", rows)
    check_layers(["features.0"], rows)
    check_layers(["whatever"], [])
    with pytest.raises(UserError, match=r"'features.9', which is no layer of the network; did you mean 'features.0'"):
        check_layers(["features.9"], rows)
    with pytest.raises(UserError, match=r"'classifier', which gives no maps; `kedro describe-model` lists the layers"):
        check_layers(["classifier"], rows)


def test_a_network_without_convolution_has_nothing_to_show(images) -> None:
    net = nn.Sequential(Floats(), nn.Flatten(), nn.Linear(36, 3)).eval()
    assert first_kernels(net) is None
    assert activation_maps(net, images, "auto") == []


def test_sample_pictures_are_of_different_classes(make_split) -> None:
    from fovea.augment import Augmenter

    split = make_split([10, 20, 30, 40], [1, 1, 0, 2])
    shown = samples(split, Augmenter([], channels=1, image_size=4, where="augment.eval", fixed=True), 2)
    assert shown[:, 0, 0, 0].tolist() == [30, 10]


def test_kernels_go_from_black_to_white_each_and_gaps_are_transparent() -> None:
    kernels = np.zeros((17, 1, 2, 2), np.float32)
    kernels[:, 0, 0, 0], kernels[:, 0, 1, 1] = -3, 1
    kernels[16] = 5
    mosaic = kernels_mosaic(kernels)
    assert mosaic.caption == "First convolution: 17 kernels of 2x2; black to white is least to largest."
    assert mosaic.pixels.shape == (2 * 68 - 4, 16 * 68 - 4, 4)
    assert mosaic.pixels[0, 0].tolist() == [0, 0, 0, 255]
    assert mosaic.pixels[63, 63].tolist() == [255, 255, 255, 255]
    assert mosaic.pixels[0, 63].tolist() == [191, 191, 191, 255]
    assert mosaic.pixels[70, 10].tolist() == [127, 127, 127, 255]
    assert mosaic.pixels[0, 65, 3] == mosaic.pixels[70, 70, 3] == 0


def test_kernels_of_colour_pictures_are_in_colour_in_the_file_too() -> None:
    kernels = np.zeros((2, 3, 1, 1), np.float32)
    kernels[0, 0] = 1  # red
    with Image.open(io.BytesIO(kernels_mosaic(kernels).png())) as picture:
        assert (picture.mode, picture.getpixel((5, 5))) == ("RGBA", (255, 0, 0, 255))


def test_kernels_of_many_inputs_are_their_mean_and_of_many_the_first_are_shown() -> None:
    mosaic = kernels_mosaic(np.ones((200, 5, 3, 3), np.float32))
    assert "200 kernels of 3x3, the first 128 shown, the mean over their inputs" in mosaic.caption
    assert mosaic.pixels.shape[0] == 8 * 68 - 4


def test_maps_that_vary_most_stand_beside_each_picture(images) -> None:
    values = np.zeros((2, 3, 6, 6), np.float32)
    values[:, 1, 0, 0], values[:, 2, 0, 0] = 1, 9
    mosaic = maps_mosaic(Maps("block/a.conv", values), images, 2)
    assert mosaic.name == "maps-block_a.conv"
    assert mosaic.caption.startswith("block/a.conv: the 2 of 3 maps that vary most, 6x6, beside the picture")
    assert mosaic.pixels.shape == (2 * 68 - 4, 3 * 68 - 4, 4)
    assert mosaic.pixels[10, 10, 0] == images[0, 0, 0, 0]
    assert [mosaic.pixels[4, 68 * column + 4, 0] for column in (1, 2)] == [255, 255]
    assert "3 maps, 6x6" in maps_mosaic(Maps("a", values), images, 9).caption


def test_numbers_that_are_none_are_grey() -> None:
    mosaic = kernels_mosaic(np.full((1, 1, 2, 2), np.nan, np.float32))
    assert mosaic.pixels[0, 0].tolist() == [127, 127, 127, 255]
