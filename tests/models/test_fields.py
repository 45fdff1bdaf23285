"""Receptive fields against gradients: what an output depends on is what the table says that it sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fovea.models.layers import layer_table


def made_positive(net: nn.Module) -> nn.Module:
    """Weights positive and pools averages, so that no path is cut off and none cancels another."""
    for name, module in [*net.named_modules()]:
        if isinstance(module, nn.MaxPool2d):
            average = nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode)
            net.set_submodule(name, average)
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    return net.double().eval()


def seen_by_the_centre(net: nn.Module, layer: str, channels: int, side: int) -> tuple[int, int]:
    """Height and width of the box outside of which the picture does not matter to the centre of a layer's output."""
    picture = torch.ones(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    outputs: list[Tensor] = []
    hook = net.get_submodule(layer).register_forward_hook(lambda _m, _a, out: outputs.append(out))
    net(picture)
    hook.remove()
    centre = outputs[-1][:, :, outputs[-1].shape[2] // 2, outputs[-1].shape[3] // 2]
    (gradient,) = torch.autograd.grad(centre.sum(), picture)
    matters = gradient[0].abs().sum(dim=0) > 0
    box = []
    for axis in (1, 0):
        places = torch.nonzero(matters.any(dim=axis)).flatten()
        box.append(int(places[-1] - places[0]) + 1)
        assert places[0] > 0, "the box touches the edge, choose a larger picture"
        assert places[-1] < side - 1
    return box[0], box[1]


def check(net: nn.Module, layer: str, channels: int, side: int) -> tuple[int, int]:
    rows = [row for row in layer_table(net, channels, side) if row.name == layer]
    field = rows[-1].receptive_field
    assert seen_by_the_centre(made_positive(net), layer, channels, side) == field
    return field


class Branches(nn.Module):
    """A wide and low branch beside a narrow one of several layers, one padded on one side alone."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.Conv2d(2, 2, (1, 7), padding=(0, 3)), nn.Conv2d(2, 2, 2, padding="same"))
        self.deep = nn.Sequential(*(nn.Conv2d(2, 2, 3, padding=2, dilation=2) for _ in range(2)))
        self.last = nn.Conv2d(4, 2, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([self.wide(x) + x, nn.functional.pad(self.deep(x), (1, 0))[..., :-1]], dim=1))


def test_branches_padding_and_dilation():
    assert check(Branches(), "last", 2, 41) == (11, 12)


def torchvision(name: str, **options: Any) -> nn.Module:
    from torchvision import models

    torch.manual_seed(0)
    return models.get_model(name, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "side"), [("layer1.1.relu", 97), ("layer2.1.relu", 161), ("layer3.0.relu", 225)])
def test_resnet(layer, side):
    assert max(check(torchvision("resnet18"), layer, 3, side)) < side


@pytest.mark.slow
def test_resnet_to_its_end():
    assert check(torchvision("resnet18"), "layer4.1.relu", 3, 577) == (435, 435)


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "side"), [("inception3b.branch3.1.conv", 193), ("inception4b.branch2.0.conv", 289)])
def test_googlenet(layer, side):
    assert max(check(torchvision("googlenet", init_weights=False, aux_logits=False), layer, 3, side)) < side


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "side"), [("Mixed_6b.branch7x7_3.conv", 601), ("Mixed_6a.branch3x3dbl_3.conv", 301)])
def test_inception_with_its_long_kernels(layer, side, monkeypatch):

    def average(x: Tensor, kernel_size: int, stride: int, *_: Any, **_options: Any) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, kernel_size, stride)

    monkeypatch.setattr(torch.nn.functional, "max_pool2d", average)
    assert max(check(torchvision("inception_v3", init_weights=False, aux_logits=False), layer, 3, side)) < side


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layer", "side"), [("densenet121", "features.transition1.conv", 193)])
def test_densenet(name, layer, side):
    assert max(check(torchvision(name), layer, 3, side)) < side


def test_squeeze_and_excitation_sees_the_whole_picture():
    from torchvision import models

    net = models.mobilenet_v3_small()
    rows = {row.name: row for row in layer_table(net, 3, 64)}
    assert rows["features.0.0"].receptive_field == (3, 3)
    assert all(side >= 64 for side in rows["features.1.block.1.scale_activation"].receptive_field)
    assert all(side >= 64 for side in rows["features.1.block.2.0"].receptive_field)


def test_places_folded_into_channels_are_seen_by_what_adds_channels_up():
    net = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 3, 3, padding=1))
    row = layer_table(net, 1, 20)[-1]
    assert (row.output, row.receptive_field, row.stride) == ((3, 10, 10), (6, 6), (2, 2))
    assert seen_by_the_centre(made_positive(net), "1", 1, 20) == (6, 6)
