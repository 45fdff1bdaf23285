from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from fovea.models.init import initialise


@pytest.mark.parametrize(
    ("rule", "deviation"),
    [("he", math.sqrt(2 / (32 * 9))), ("xavier", math.sqrt(2 / (32 * 9 + 64 * 9)))],
)
def test_weights_have_the_deviation_of_the_rule(rule, deviation):
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 64, 3)
    initialise(conv, rule)
    assert conv.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert conv.weight.mean().item() == pytest.approx(0.0, abs=0.02 * deviation)
    assert conv.bias.abs().max() == 0


def test_xavier_is_bounded():
    linear = nn.Linear(30, 70)
    initialise(linear, "xavier")
    assert linear.weight.abs().max().item() <= math.sqrt(6 / 100)


def test_norms_keep_their_weights():
    norm = nn.BatchNorm2d(4)
    initialise(nn.Sequential(norm, nn.Conv2d(4, 4, 1, bias=False)), "he")
    assert torch.equal(norm.weight, torch.ones(4))


def test_networks_follow_the_rule_of_their_config(network):
    torch.manual_seed(0)
    he = network("deep_mnist", init="he")
    assert he.features[0].bias.abs().max() == 0
    assert network("deep_mnist", init=None).features[0].bias.abs().max() > 0
    assert he.features[12].weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="unknown rule of initial weights: zero"):
        initialise(nn.Linear(1, 1), "zero")
