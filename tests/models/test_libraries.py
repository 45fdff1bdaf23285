from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fovea.core.errors import UserError
from fovea.models import catalogue, registry

PUBLISHED = {
    "alexnet": 61_100_840,
    "efficientnet_lite0": 4_652_008,
    "googlenet": 13_004_888,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "zfnet": 62_357_608,
}
LEAST = {"alexnet": 63, "googlenet": 15, "one_conv": 2, "small_cnn": 16, "vgg16": 32, "vgg19": 32, "zfnet": 53}


def count(net):
    return sum(p.numel() for p in net.parameters())


def at_native_size(network, name):
    return network(name, channels=3, num_classes=1000, image_size=224)


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_parameters_are_as_many_as_published(network, name, parameters):
    with torch.device("meta"):
        assert count(at_native_size(network, name)) == parameters


def test_googlenet_has_two_heads_in_training_alone(network):
    with torch.device("meta"):
        net = at_native_size(network, "googlenet")
        pictures = torch.zeros(2, 3, 224, 224)
        assert net.eval()(pictures).shape == (2, 1000)
        assert [tuple(one.shape) for one in net.train()(pictures)] == [(2, 1000)] * 3
    assert count(net) - count(net.aux1) - count(net.aux2) == 6_624_904


def test_our_own_for_photographs_are_as_large_as_written(network):
    with torch.device("meta"):
        assert count(network("one_conv", channels=3, num_classes=2, image_size=64)) == 4_195_586
        assert count(network("small_cnn", channels=3, num_classes=2, image_size=64)) == 389_410
        assert count(network("small_cnn", channels=3, num_classes=2, image_size=96)) == 389_410


def test_the_pool_is_worth_three_quarters_of_the_parameters():
    from fovea.models.one_conv import OneConv

    with torch.device("meta"):
        assert count(OneConv(3, 2, 64, pool=False)) == 16_778_498


def test_zfnet_has_the_maps_of_the_paper(network):
    net = at_native_size(network, "zfnet").eval()
    sides = []
    for layer in net.features:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda _m, _a, out: sides.append(out.shape[-1]))
    net(torch.zeros(1, 3, 224, 224))
    assert sides == [110, 55, 26, 13, 13, 13, 13, 6]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if PUBLISHED[name] > 30_000_000 else [])
        for name in sorted(PUBLISHED)
    ],
)
def test_a_picture_of_native_size_passes(network, name):
    net = at_native_size(network, name).eval()
    with torch.no_grad():
        logits = net(torch.rand(1, 3, 224, 224))
    assert logits.shape == (1, 1000)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", [name for name in registry.names() if "mnist" not in name and name != "lenet5"])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_and_classes_are_those_of_the_data(network, name, channels):
    with torch.device("meta"):
        net = network(name, channels=channels, num_classes=7, image_size=96).eval()
        assert net(torch.zeros(2, channels, 96, 96)).shape == (2, 7)


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_the_least_size_passes_and_one_pixel_less_does_not(network, name, least, monkeypatch):
    with torch.device("meta"):
        network(name, image_size=least).eval()(torch.zeros(1, 1, least, least))
        with pytest.raises(UserError, match=f"{least}x{least} pixels or more but the data has {least - 1}x{least - 1}"):
            network(name, image_size=least - 1)
        known = registry._FAMILIES[name]
        monkeypatch.setitem(registry._FAMILIES, name, registry.Family(known.builder, 1))
        with pytest.raises((RuntimeError, ValueError)):  # the table asks for no more than the network does
            network(name, image_size=least - 1).eval()(torch.zeros(1, 1, least - 1, least - 1))


@pytest.mark.parametrize(
    ("library", "name"),
    [("fovea", "resnet18"), ("torchvision", "resnet18"), ("timm", "resnet18"), ("timm", "resnet26d")],
)
@pytest.mark.parametrize(
    ("stem", "image_size", "stride"), [("auto", 28, 1), ("auto", 96, 4), ("standard", 28, 4), ("small", 96, 1)]
)
def test_small_pictures_reach_the_blocks_of_a_resnet_whole(network, library, name, stem, image_size, stride):
    with torch.device("meta"):
        net = network(name, library=library, stem=stem, channels=1, image_size=image_size)
        seen = []
        net.layer1.register_forward_pre_hook(lambda _m, args: seen.append(args[0].shape[-1]))
        net.eval()(torch.zeros(1, 1, image_size, image_size))
    assert image_size // stride in seen


def test_published_weights_keep_the_standard_stem(network):
    with torch.device("meta"):
        assert network("resnet18", weights="imagenet", image_size=64).conv1.kernel_size == (7, 7)


def test_a_small_stem_is_refused_where_there_is_none(network):
    with pytest.raises(UserError) as caught:
        network("googlenet", stem="small")
    assert str(caught.value) == (
        "model.stem is 'small' but 'googlenet' does not begin as a ResNet does, and has no such stem; "
        "set model.stem=auto"
    )


def test_a_first_convolution_for_one_channel_has_weights_of_the_old_scale(network):
    torch.manual_seed(0)
    grey = network("resnet18", channels=1, image_size=96, num_classes=2)
    torch.manual_seed(0)
    colour = network("resnet18", channels=3, image_size=96, num_classes=2)
    assert torch.equal(grey.conv1.weight, colour.conv1.weight[:, :1])
    assert torch.equal(grey.layer4[1].conv2.weight, colour.layer4[1].conv2.weight)


@pytest.mark.parametrize(
    ("library", "name"),
    [("fovea", "alexnet"), ("torchvision", "mobilenet_v3_small"), ("timm", "mobilenetv3_small_050")],
)
def test_dropout_is_set_where_there_is_one(network, library, name):
    net = network(name, library=library, dropout=0.125, channels=3, image_size=96)
    assert {m.p for m in net.modules() if isinstance(m, nn.Dropout)} == {0.125} or net.drop_rate == 0.125


def test_dropout_is_refused_where_there_is_none(network):
    with pytest.raises(UserError) as caught:
        network("resnet18", dropout=0.5)
    assert str(caught.value) == "model.dropout is 0.5 but 'resnet18' has no dropout; set model.dropout=null"
    with pytest.raises(UserError, match=r"model\.dropout is 0\.5 but 'resnet18' has no dropout"):
        network("resnet18", library="torchvision", dropout=0.5)
    with torch.device("meta"):
        assert count(network("resnet18", dropout=0.0)) == 11_689_512 - 990 * 513 - 64 * (3 * 49 - 9)


def test_auxiliary_heads_keep_the_dropout_of_the_paper(network):
    with torch.device("meta"):
        net = network("googlenet", dropout=0.1)
    assert (net.dropout.p, net.aux1.dropout.p) == (0.1, 0.7)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_the_sources_tell_the_names_that_the_library_tells(library):
    import timm
    import torchvision

    told = timm.list_models() if library == "timm" else torchvision.models.list_models(module=torchvision.models)
    assert catalogue.names(library) == set(told)


def check(section, name, library, **values):
    data = SimpleNamespace(name="mnist", channels=1, image_size=28)
    registry.check(SimpleNamespace(data=data, model=section(name, library=library, **values)))


def test_names_of_the_libraries_are_known(section):
    assert check(section, "resnet50.a1_in1k", "timm") is None
    assert check(section, "swin_t", "torchvision") is None


@pytest.mark.parametrize(
    ("library", "name", "nearest"),
    [("timm", "resnet51", "resnet50"), ("torchvision", "resnet81", "resnet18"), ("timm", "..", "xcit")],
)
def test_an_unknown_name_is_answered_with_the_nearest(section, library, name, nearest):
    with pytest.raises(
        UserError, match=rf"^model\.name '{name}' is none of {library}'s \d+ networks; nearest: "
    ) as caught:
        check(section, name, library)
    assert len(str(caught.value).partition("nearest: ")[2].split(", ")) == 5
    assert nearest in str(caught.value)


def test_a_name_of_a_library_is_pointed_to_it(section):
    with pytest.raises(UserError) as caught:
        check(section, "resnet26d", "fovea")
    assert str(caught.value) == ("model.name 'resnet26d' is not known; timm has it: model=timm model.name=resnet26d")


@pytest.mark.parametrize(
    ("library", "name", "sentence"),
    [
        (
            "torchvision",
            "densenet121",
            r"densenet121' takes no pictures of 28x28 pixels \(.*\); set data.image_size=29,",
        ),
        ("timm", "convnext_atto", r"convnext_atto' takes no pictures of 28x28 pixels \(.*\); set data.image_size=32,"),
    ],
)
def test_pictures_too_small_for_a_network_of_a_library(network, library, name, sentence):
    with pytest.raises(UserError, match=sentence):
        network(name, library=library, channels=3, image_size=28)


def test_a_transformer_is_made_for_the_size_of_the_pictures(network):
    net = network("vit_tiny_patch16_224", library="timm", channels=3, image_size=32).eval()
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
