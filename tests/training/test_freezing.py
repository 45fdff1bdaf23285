from __future__ import annotations

import torch
from torch import nn

from fovea.training.freezing import Freezing


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    return nn.Sequential(block, nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 2))


def test_frozen_batch_norm_keeps_its_statistics_bit_for_bit_until_its_block_joins() -> None:
    net = small_net()
    freezing = Freezing(
        net,
        [
            {"params": list(net[3].parameters()), "from_epoch": 1},
            {"params": list(net[0].parameters()), "from_epoch": 2},
        ],
    )
    before = {name: tensor.clone() for name, tensor in net[0].state_dict().items()}
    freezing.freeze(1)
    net(torch.randn(8, 1, 4, 4) + 3).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net[0].state_dict().items())
    assert all(parameter.grad is None for parameter in net[0].parameters())
    freezing.freeze(2)
    net(torch.randn(8, 1, 4, 4) + 3).sum().backward()
    assert not torch.equal(net[0][1].running_mean, before["1.running_mean"])
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_state_follows_from_the_epoch_alone() -> None:
    net = small_net()
    freezing = Freezing(
        net, [{"params": list(net[3].parameters())}, {"params": list(net[0].parameters()), "from_epoch": 3}]
    )
    modes = {}
    for epoch in (1, 4, 2, 3):
        freezing.freeze(epoch)
        modes[epoch] = [module.training for module in net.modules()], [p.requires_grad for p in net.parameters()]
    assert modes[1] == modes[2] != modes[3] == modes[4]
    # The network, the head and the dropout before it; not the block with its norm and its dropout.
    assert modes[1][0] == [True, False, False, False, False, True, True, True]
    assert modes[1][1] == [False] * 4 + [True] * 2


def test_without_anything_frozen_it_is_not_needed() -> None:
    net = small_net()
    assert not Freezing(net, [{"params": list(net.parameters())}]).is_needed
    assert Freezing(net, [{"params": list(net[3].parameters())}]).is_needed
