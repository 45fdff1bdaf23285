from __future__ import annotations

import pytest
import torch
from torch import nn

from fovea.models.normalize import NormalizedNet


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (5, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def expected(pixels):
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pixels.double() / 255 - mean) / std


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_pixels_are_normalised_per_channel(pixels, dtype):
    net = NormalizedNet(nn.Identity(), MEAN, STD)
    result = net(pixels.to(dtype))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), expected(pixels), rtol=0, atol=1e-6)


def test_float_pixels_are_not_changed_in_place(pixels):
    given = pixels.float()
    NormalizedNet(nn.Identity(), MEAN, STD)(given)
    assert torch.equal(given, pixels.float())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_memory_layout_is_kept(pixels, layout, dtype):
    net = NormalizedNet(nn.Identity(), MEAN, STD).to(memory_format=layout)
    assert net(pixels.to(dtype).contiguous(memory_format=layout)).is_contiguous(memory_format=layout)


def test_gradients_reach_the_pixels(pixels):
    given = pixels.float().requires_grad_()
    NormalizedNet(nn.Identity(), MEAN, STD)(given).sum().backward()
    assert given.grad[0, :, 0, 0].tolist() == pytest.approx([1 / (255 * s) for s in STD])


def test_the_scale_belongs_to_the_weights():
    state = NormalizedNet(nn.Linear(1, 1), [0.5], [0.25]).state_dict()
    assert sorted(state) == ["net.bias", "net.weight", "scale", "shift"]
    assert state["shift"].item() == -2.0
    assert state["scale"].item() == pytest.approx(4 / 255)


@pytest.mark.parametrize(("mean", "std"), [([0.5], [0.5, 0.5]), ([0.5], [0.0]), ([], [])])
def test_impossible_statistics_are_refused(mean, std):
    with pytest.raises(ValueError, match="must be of equal length, std positive"):
        NormalizedNet(nn.Identity(), mean, std)
