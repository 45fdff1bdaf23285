from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("lenet5", 61_706),
        ("tf_mnist", 3_274_634),
        ("deep_mnist", 123_552),
        ("fast_mnist", 48_330),
        ("best_mnist", 289_642),
        ("small_mnist", 169_066),
        ("small_mnist_5x5", 146_098),
    ],
)
def test_parameters_are_as_many_as_published(network, name, count):
    assert sum(p.numel() for p in network(name).parameters()) == count


def test_lenet_has_the_same_layers_on_28_padded_and_on_32_unpadded_pixels(network):
    small, large = network("lenet5", image_size=28), network("lenet5", image_size=32)
    assert [p.shape for p in small.parameters()] == [p.shape for p in large.parameters()]
    assert large(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [12, 13, 28, 31, 32, 45, 64])
def test_logits_for_any_size_channels_and_classes(network, name, channels, image_size):
    net = network(name, channels=channels, num_classes=7, image_size=image_size)
    assert net(torch.zeros(3, channels, image_size, image_size)).shape == (3, 7)


@pytest.mark.parametrize(
    ("name", "least"), [("lenet5", 12), ("tf_mnist", 4), ("deep_mnist", 4), ("fast_mnist", 8), ("best_mnist", 7)]
)
def test_the_least_size_leaves_one_pixel(network, name, least):
    net = network(name, image_size=least).eval()
    assert net.features(torch.zeros(1, 1, least, least)).shape[2:] == (1, 1)


def test_gradient_reaches_every_parameter(network, name):
    torch.manual_seed(0)
    net = network(name)
    net(torch.randn(16, 1, 28, 28)).square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_seed_decides_the_weights(network, name):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in network(name).parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_dropout_acts_in_training_alone(network):
    net = network("tf_mnist", dropout=0.5)
    images = torch.randn(4, 1, 28, 28)
    torch.manual_seed(0)
    assert not torch.equal(net(images), net(images))
    net.eval()
    assert torch.equal(net(images), net(images))


def test_pictures_of_another_size_are_refused(network, name):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        network(name)(torch.zeros(1, 1, 40, 40))
