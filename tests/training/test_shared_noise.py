"""What ranks drop is what one process would drop of the whole batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from fovea.loading.sampler import Share
from fovea.training.shared_noise import share_noise

BATCH = 7
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "units": lambda: nn.Dropout(0.4),
    "units in place": lambda: nn.Dropout(0.4, inplace=True),
    "channels": lambda: nn.Dropout2d(0.4),
    "rows of torchvision": lambda: StochasticDepth(0.4, "row"),
    "all rows at once": lambda: StochasticDepth(0.4, "batch"),
    "rows of timm": lambda: DropPath(0.4),
    "rows of timm, as large as they are": lambda: DropPath(0.4, scale_by_keep=False),
}


def features_of(layout: torch.memory_format, each: int = 1) -> Tensor:
    numbers = torch.Generator().manual_seed(1)
    return torch.randn(BATCH * each, 6, 4, 5, generator=numbers).contiguous(memory_format=layout)


def parts(features: Tensor, layer: nn.Module, world_size: int, each: int = 1) -> Tensor:
    """The output of ranks one after the other, twice in a step."""
    found = []
    for rank in range(world_size):
        first, end = (BATCH * r // world_size for r in (rank, rank + 1))
        twin = nn.Sequential(copy.deepcopy(layer))
        noise = share_noise(twin, Share(end - first, BATCH, world_size, first))
        noise.start(5)
        torch.manual_seed(100 + rank)
        own = features[first * each : end * each]
        found.append(torch.cat([twin(own.clone())[:, None], twin(own.clone())[:, None]], 1))
    return torch.cat(found)


def alone(features: Tensor, layer: nn.Module) -> Tensor:
    torch.manual_seed(5)
    return torch.cat([layer(features.clone())[:, None], layer(features.clone())[:, None]], 1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_drop_what_one_process_drops(name: str, world_size: int, layout: torch.memory_format) -> None:
    features = features_of(layout)
    whole = alone(features, LAYERS[name]())
    assert torch.equal(parts(features, LAYERS[name](), world_size), whole)
    assert not torch.equal(whole[:, 0], whole[:, 1]) or name == "all rows at once"


def test_several_rows_a_picture_stay_together() -> None:
    features = features_of(torch.contiguous_format, each=4)
    assert torch.equal(parts(features, nn.Dropout(0.5), 2, each=4), alone(features, nn.Dropout(0.5)))


def test_rows_in_another_order_are_each_rank_s_own() -> None:
    net = nn.Sequential(nn.Dropout(0.5))
    noise = share_noise(net, Share(3, 7, 2))
    noise.start(5)
    features = torch.ones(5, 4)
    torch.manual_seed(9)
    wanted = nn.Dropout(0.5)(features)
    torch.manual_seed(9)
    assert torch.equal(net(features), wanted)


def test_evaluation_and_rates_of_nothing_drop_nothing() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0))
    assert share_noise(net, Share(3, 7, 2)) is not share_noise(net, Share(3, 7, 2))
    assert [type(layer).__name__ for layer in net] == ["SharedDropout", "SharedDropout"]
    features: Any = features_of(torch.contiguous_format)[:3]
    assert net[1](features) is features
    assert torch.equal(net.eval()(features), features)
