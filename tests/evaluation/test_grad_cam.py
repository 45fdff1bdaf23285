"""Grad-CAM: a network whose evidence is known, and networks of every library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fovea.evaluation.gallery import Judged
from fovea.evaluation.grad_cam import Cam, Explained, grad_cam, heat_sheet
from fovea.models.normalize import NormalizedNet


class Bright(nn.Module):
    """Class 0 for what is bright, class 1 for what is dark, by the sign of one map each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.conv.weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.relu(self.conv(images.float())).mean(dim=(2, 3))


@pytest.fixture
def images() -> np.ndarray:
    """A bright spot in the upper left corner, twice."""
    spot = np.zeros((2, 4, 4, 1), np.uint8)
    spot[:, 0, 0] = 200
    spot[:, 0, 1] = 100
    return spot


def test_heat_lies_where_the_evidence_is_and_nowhere_without(images: np.ndarray) -> None:
    cam = grad_cam(Bright().eval(), images, np.array([0, 1]))
    assert (cam.layer, cam.heat.shape) == ("conv", (2, 4, 4))
    assert cam.heat[0, 0].tolist() == [1.0, 0.5, 0.0, 0.0]
    assert cam.heat[0, 1:].sum() == 0
    assert cam.heat[1].sum() == 0


def test_a_frozen_network_is_explained_and_left_as_it_was(images: np.ndarray) -> None:
    net = Bright().eval().requires_grad_(False)
    assert grad_cam(net, images, np.array([0, 0])).heat.max() == 1
    assert not net.conv._forward_hooks
    assert net.conv.weight.grad is None


def test_a_network_without_maps_has_no_heat(images: np.ndarray) -> None:
    squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(1, 2, 1), nn.Flatten())
    assert grad_cam(NormalizedNet(squeeze, [0.5], [0.5]).eval(), images, np.array([0, 0])) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "name", "layer"),
    [
        ("torchvision", "resnet18", "layer4.1.conv2"),
        ("torchvision", "vgg11_bn", "features.25"),
        ("torchvision", "mobilenet_v3_small", "features.12.0"),
        ("timm", "efficientnet_b0", "conv_head"),
        ("timm", "resnet18", "layer4.1.conv2"),
        ("timm", "vit_tiny_patch16_224", "patch_embed.proj"),
    ],
)
def test_networks_of_other_libraries(library: str, name: str, layer: str) -> None:
    torch.manual_seed(0)
    if library == "timm":
        import timm

        net = timm.create_model(name, num_classes=3)
    else:
        import torchvision

        net = torchvision.models.get_model(name, num_classes=3)
    pixels = np.random.default_rng(1).integers(0, 255, (2, 224, 224, 3), np.uint8)
    cam = grad_cam(NormalizedNet(net, [0.5] * 3, [0.5] * 3).eval(), pixels, np.array([0, 2]))
    assert cam.layer == layer
    assert cam.heat.shape[0] == 2
    assert np.isfinite(cam.heat).all()
    assert 0 <= cam.heat.min() <= cam.heat.max() <= 1


def test_each_picture_stands_beside_its_heat() -> None:
    judged = [Judged(np.full((8, 8, 1), 90, np.uint8), "a", "b", 0.5)] * 5
    (axes,) = heat_sheet(Explained(judged, Cam("conv", np.ones((5, 2, 2), np.float32)))).axes
    assert [text.get_text() for text in axes.texts] == ["a → b\n0.50", "Grad-CAM"] * 5
    rows = {text.get_position()[1] for text in axes.texts}
    assert len(rows) == 2
