from __future__ import annotations

import pytest
import torch
from torch import nn

from fovea.core.errors import UserError
from fovea.models import anatomy
from fovea.models.deep_mnist import DeepMnist
from fovea.models.fast_mnist import FastMnist
from fovea.models.lenet import LeNet5


def named(library: str, name: str, **options: object) -> nn.Module:
    if library == "timm":
        import timm

        net: nn.Module = timm.create_model(name, pretrained=False, num_classes=5, **options)
        return net
    from torchvision import models

    return models.get_model(name, weights=None, num_classes=5, **options)


NETS = [
    ("torchvision", "resnet18", {}, ["fc"], ["stem", "layer1", "layer2", "layer3", "layer4"]),
    ("timm", "resnet10t", {}, ["fc"], ["stem", "layer1", "layer2", "layer3", "layer4"]),
    ("timm", "tf_efficientnet_lite0", {}, ["classifier"], ["stem", *(f"blocks.{i}" for i in range(7))]),
    (
        "torchvision",
        "googlenet",
        {"init_weights": False},
        ["fc", "aux1.fc2", "aux2.fc2"],
        [*(f"conv{i}" for i in (1, 2, 3)), *(f"inception{i}" for i in "3a 3b 4a 4b 4c 4d 4e 5a 5b".split())],  # noqa: SIM905
    ),
    (
        "torchvision",
        "squeezenet1_1",
        {},
        ["classifier.1"],
        ["features.0", *(f"features.{i}" for i in (3, 4, 6, 7, 9, 10, 11, 12))],
    ),
    ("timm", "vit_tiny_patch16_224", {"depth": 2}, ["head"], ["stem", "blocks.0", "blocks.1"]),
    ("timm", "convnext_atto", {}, ["head.fc"], ["stem", "stages.0", "stages.1", "stages.2", "stages.3", "head"]),
]


@pytest.mark.parametrize(("library", "name", "options", "heads", "blocks"), NETS, ids=[f"{n[0]}-{n[1]}" for n in NETS])
def test_heads_and_blocks_of_known_networks(
    library: str, name: str, options: dict[str, object], heads: list[str], blocks: list[str]
) -> None:
    with torch.device("meta"):
        net = named(library, name, **options)
    assert anatomy.heads(net) == heads
    found = anatomy.blocks(net)
    assert [block.name for block in found] == blocks
    body = [p for p, _ in net.named_parameters() if p.rpartition(".")[0] not in heads]
    assert sorted(p for block in found for p in block.parameters) == sorted(body)


@pytest.mark.parametrize(
    ("net", "head", "blocks"),
    [
        (LeNet5(1, 10, 28), "classifier.7", ["features.0", "features.3", "classifier"]),
        (DeepMnist(1, 10, 28), "classifier.4", ["stem", "features.5", "features.10", "classifier"]),
        (FastMnist(1, 10, 28), "classifier.2", ["stem", "features.7"]),
    ],
)
def test_own_networks_end_a_block_at_each_pool_and_never_before_a_norm(
    net: nn.Module, head: str, blocks: list[str]
) -> None:
    assert anatomy.heads(net) == [head]
    assert [block.name for block in anatomy.blocks(net)] == blocks


def test_the_layers_of_a_vgg_are_grouped_up_to_the_next_pool() -> None:
    with torch.device("meta"):
        net = named("torchvision", "vgg16")
    sizes = [len(block.parameters) // 2 for block in anatomy.blocks(net)]
    assert sizes == [2, 2, 3, 3, 3, 2]


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("levit_128s", ["head.linear", "head_dist.linear"]),
        ("crossvit_9_240", ["head.0", "head.1"]),
        ("repvit_m0_9", ["head.head.l", "head.head_dist.l"]),
    ],
)
def test_all_heads_of_a_network_that_has_several_are_found(name: str, heads: list[str]) -> None:
    with torch.device("meta"):
        net = named("timm", name)
    assert anatomy.heads(net) == heads
    assert not {f"{head}.weight" for head in heads} & {p for block in anatomy.blocks(net) for p in block.parameters}
    with pytest.raises(UserError, match=r"has no single linear layer for its classes"), anatomy.body(net):
        pass


@pytest.mark.parametrize(
    ("library", "name", "options", "rate"),
    [
        ("timm", "tf_efficientnet_lite0", {"drop_rate": 0.3}, 0.3),
        ("timm", "vit_tiny_patch16_224", {"depth": 1, "drop_rate": 0.4}, 0.4),
        ("torchvision", "vgg11", {}, 0.5),
        ("torchvision", "alexnet", {}, 0.0),
        ("torchvision", "mobilenet_v2", {"dropout": 0.1}, 0.1),
        ("torchvision", "resnet18", {}, 0.0),
    ],
)
def test_the_dropout_just_before_the_head(library: str, name: str, options: dict[str, object], rate: float) -> None:
    with torch.device("meta"):
        net = named(library, name, **options)
    assert anatomy.head_dropout(net) == rate


@pytest.mark.parametrize("net", [DeepMnist(1, 10, 28), named("timm", "tf_efficientnet_lite0", in_chans=1)])
def test_the_head_on_the_features_gives_the_logits(net: nn.Module) -> None:
    net.eval()
    pictures = torch.randn(3, 1, 32 if hasattr(net, "conv_stem") else 28, 32 if hasattr(net, "conv_stem") else 28)
    with torch.inference_mode():
        logits = net(pictures)
        with anatomy.body(net) as head:
            features = net(pictures)
        assert features.shape == (3, head.in_features)
        assert torch.equal(head(features), logits)
        assert torch.equal(net(pictures), logits)


def test_a_network_without_a_single_linear_head_has_no_features_to_keep() -> None:
    with torch.device("meta"):
        net = named("torchvision", "squeezenet1_1")
    with (
        pytest.raises(UserError, match=r"no single linear layer .* \(classifier.1\).*finetune.cache_features=false"),
        anatomy.body(net),
    ):
        pass


def test_only_what_leads_to_trained_layers_is_in_training_mode() -> None:
    with torch.device("meta"):
        net = named("torchvision", "vgg11_bn")
    modes = {id(module): mode for module, mode in anatomy.trains(net, {"classifier.6.weight"})}
    assert len(modes) == len(list(net.modules()))
    # The dropout before the head is the head's; that between two frozen layers is off.
    on = {name for name, module in net.named_modules() if modes[id(module)]}
    assert on == {"", "classifier", "classifier.4", "classifier.5", "classifier.6"}
