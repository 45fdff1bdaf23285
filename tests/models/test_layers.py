from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fovea.core.errors import RunError
from fovea.models import registry
from fovea.models.layer_rows import LayerRow, final_field, to_csv, to_text, totals
from fovea.models.layers import layer_table

# Of `fovea` names, the side of pictures on which the published multiply-adds were counted.
_SIZES = {"zfnet": 224, "alexnet": 224, "vgg16": 224, "vgg19": 224, "googlenet": 224, "efficientnet_lite0": 224}


def size_of(name: str) -> int:
    return _SIZES.get(name, 224 if name.startswith("resnet") else 28)


def outputs_of(net: nn.Module, channels: int, image_size: int) -> list[tuple[str, tuple[int, ...]]]:
    """What the smallest modules really give, in the order of their calls."""
    seen: list[tuple[str, tuple[int, ...]]] = []
    hooks = [
        module.register_forward_hook(lambda _m, _a, out, path=path: seen.append((path, tuple(out.shape[1:]))))
        for path, module in net.named_modules()
        if not any(module.children()) and not isinstance(module, nn.Identity)
    ]
    with torch.no_grad():
        net.eval()(torch.zeros(1, channels, image_size, image_size))
    for hook in hooks:
        hook.remove()
    return seen


def check_outputs(net: nn.Module, channels: int, image_size: int) -> list[LayerRow]:
    rows, real = layer_table(net, channels, image_size), outputs_of(net, channels, image_size)
    modules = {path for path, _ in real}
    assert [(row.name, row.output) for row in rows if row.name in modules] == real
    assert totals(rows)[0] == sum(parameter.numel() for parameter in net.parameters())
    return rows


@pytest.mark.parametrize("name", [name for name in registry.names() if size_of(name) == 28])
@pytest.mark.parametrize(("channels", "image_size"), [(1, 28), (3, 45)])
def test_sizes_are_those_of_the_tensors(network, name, channels, image_size):
    check_outputs(network(name, channels=channels, image_size=image_size), channels, image_size)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in registry.names() if size_of(name) > 28])
def test_sizes_are_those_of_the_tensors_of_large_networks(network, name):
    check_outputs(network(name, channels=3, num_classes=1000, image_size=size_of(name)), 3, size_of(name))


def made(library: str, name: str) -> tuple[nn.Module, int]:
    if library == "timm":
        import timm

        net = timm.create_model(name)
        return net, net.default_cfg["input_size"][1]
    from torchvision import models

    options: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, **options), 299 if name == "inception_v3" else 224


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "name", "field"),
    [
        ("torchvision", "inception_v3", (1311 + 7 * 32, 1311 + 7 * 32)),
        ("torchvision", "densenet121", (2071 + 6 * 32, 2071 + 6 * 32)),
        ("torchvision", "mobilenet_v3_small", None),
        ("torchvision", "shufflenet_v2_x1_0", None),
        ("torchvision", "maxvit_t", None),
        ("timm", "tresnet_m", None),
        ("timm", "convnext_atto", None),
        ("timm", "vit_tiny_patch16_224", (224, 224)),
        ("timm", "swin_tiny_patch4_window7_224", (224, 224)),
        ("timm", "mixer_s32_224", (224, 224)),
        ("timm", "efficientnet_b0", None),
        ("timm", "repvgg_a0", None),
        ("timm", "lambda_resnet26t", None),
    ],
)
def test_sizes_are_those_of_the_tensors_of_other_libraries(library, name, field):
    net, side = made(library, name)
    rows = [row for row in check_outputs(net, 3, side) if row.output]
    assert field is None or rows[-1].receptive_field == field


PUBLISHED = (
    "alexnet",
    "vgg16",
    "vgg19",
    "resnet18",
    "resnet50",
    "resnet152",
    "googlenet",
    "inception_v3",
    "densenet121",
)


@pytest.mark.parametrize("name", [*PUBLISHED, "mobilenet_v3_small", "convnext_tiny", "vit_b_16", "swin_t"])
def test_multiply_adds_and_parameters_are_the_published_ones(name):
    from torchvision import models

    with torch.device("meta"):
        net, side = made("torchvision", name)
    meta = models.get_model_weights(name).DEFAULT.meta
    rows = layer_table(net, 3, side)
    # The published counts leave the auxiliary heads of GoogLeNet out.
    parameters = sum(row.parameters for row in rows if row.output or name != "googlenet")
    assert parameters == meta["num_params"]
    assert round(totals(rows)[1] / 1e9, 3) == meta["_ops"]


def test_lenet_by_hand(network):
    rows = {row.name: row for row in layer_table(network("lenet5"), 1, 28)}
    table = {k: (r.output, r.parameters, r.multiply_adds, r.receptive_field, r.stride) for k, r in rows.items()}
    assert table["features.0"] == ((6, 28, 28), 156, 117_600, (5, 5), (1, 1))
    assert table["features.2"] == ((6, 14, 14), 0, 0, (6, 6), (2, 2))
    assert table["features.3"] == ((16, 10, 10), 2_416, 240_000, (14, 14), (2, 2))
    assert table["features.5"] == ((16, 5, 5), 0, 0, (16, 16), (4, 4))
    assert table["classifier.1"] == ((120,), 48_120, 48_000, (32, 32), (4, 4))
    assert table["classifier.7"] == ((10,), 850, 840, (32, 32), (4, 4))


def test_two_3x3_see_as_much_as_one_5x5_for_fewer_parameters():
    one = layer_table(nn.Conv2d(32, 32, 5), 32, 28)
    two = layer_table(nn.Sequential(nn.Conv2d(32, 32, 3), nn.Conv2d(32, 32, 3)), 32, 28)
    assert two[-1].receptive_field == one[-1].receptive_field == (5, 5)
    assert two[-1].output == one[-1].output == (32, 24, 24)
    assert (one[0].parameters, sum(row.parameters for row in two)) == (25_632, 18_496)


def test_a_pool_is_worth_three_quarters_of_the_parameters_behind_it():
    from fovea.models.one_conv import OneConv

    with_pool, without = (layer_table(OneConv(3, 2, 64, pool=pool), 3, 64) for pool in (True, False))
    assert totals(with_pool) == (4_195_586, 7_733_504)
    assert totals(without) == (16_778_498, 20_316_416)
    assert final_field(with_pool) == final_field(without) == "66"


def test_strides_dilation_groups_padding_and_kernels_that_are_not_square():
    net = nn.Sequential(
        nn.Conv2d(4, 8, 7, stride=2, padding=3),
        nn.Conv2d(8, 8, 3, groups=8, dilation=2, padding=2, bias=False),
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.Conv2d(8, 8, (1, 7), padding=(0, 3)),
        nn.MaxPool2d((2, 1), ceil_mode=True),
        nn.ConvTranspose2d(8, 2, 2, stride=2),
    )
    rows = check_outputs(net, 4, 33)
    assert [row.output for row in rows] == [(8, 17, 17), (8, 17, 17), (8, 9, 9), (8, 9, 9), (8, 5, 9), (2, 10, 18)]
    assert [row.receptive_field for row in rows[:-1]] == [(7, 7), (15, 15), (19, 19), (19, 43), (23, 43)]
    assert [row.stride for row in rows[:-1]] == [(2, 2), (2, 2), (4, 4), (4, 4), (8, 4)]
    costs = [8 * 17 * 17 * 49 * 4, 8 * 17 * 17 * 9, 0, 8 * 9 * 9 * 8 * 7, 0, 8 * 5 * 9 * 2 * 4]
    assert [row.multiply_adds for row in rows] == costs


class Functional(nn.Module):
    """Pools, joins and parameters outside of the smallest modules, one module twice, and a head for training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head, self.aux = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(4, 3), nn.Linear(7, 5)
        self.gain = nn.Parameter(torch.ones(2, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(self.conv(x)) * self.gain)
        x = torch.cat([x, nn.functional.max_pool2d(x, 3, 1, 1)], dim=1)
        return self.head(x.mean(dim=(2, 3)))


def test_what_happens_between_modules_has_rows_and_shared_parameters_count_once():
    rows = layer_table(Functional(), 2, 8)
    assert [(row.name, row.type, row.output, row.parameters, row.receptive_field) for row in rows] == [
        ("conv", "Conv2d", (2, 8, 8), 38, (3, 3)),
        ("conv", "Conv2d", (2, 8, 8), 0, (5, 5)),
        ("", "multiply", (2, 8, 8), 2, (5, 5)),
        ("", "max_pool2d", (2, 8, 8), 0, (7, 7)),
        ("", "cat", (4, 8, 8), 0, (7, 7)),
        ("", "mean", (4,), 0, (14, 14)),
        ("head", "Linear", (3,), 15, (14, 14)),
        ("aux", "Linear", (), 40, (0, 0)),
    ]
    assert [row.multiply_adds for row in rows[:2]] == [8 * 8 * 2 * 2 * 9] * 2
    assert final_field(rows) == "14"
    assert to_text(rows).splitlines()[-2].split() == ["aux", "Linear", "not", "run", "40", "0", "–", "–"]  # noqa: RUF001


def test_the_network_is_left_as_it_was_with_its_weights_and_device(network):
    net = network("tf_mnist")
    net.classifier.eval()
    before, weights = [module.training for module in net.modules()], [*map(id, net.parameters())]
    layer_table(net, 1, 28)
    assert [module.training for module in net.modules()] == before
    assert [*map(id, net.parameters())] == weights
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert {parameter.device.type for parameter in net.parameters()} == {"cpu"}


class Peeking(nn.Module):
    """Decides by a number in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) if x.sum().item() == 0 else self.two(x)


def test_a_network_that_looks_at_numbers_is_run_with_some():
    rows = layer_table(Peeking(), 1, 8)
    assert [(row.name, row.output) for row in rows] == [("one", (1, 6, 6)), ("two", ())]


def test_a_network_that_cannot_take_the_picture_is_refused_in_a_sentence():
    with pytest.raises(RunError, match=r"the layers of Conv2d cannot be told from a picture of 1x8x8 \(.*weight"):
        layer_table(nn.Conv2d(3, 1, 3), 1, 8)


def test_text_has_a_line_a_layer_and_totals(network):
    lines = to_text(layer_table(network("lenet5"), 1, 28)).splitlines()
    assert lines[0].split() == ["layer", "type", "output", "parameters", "multiply-adds", "field", "stride"]
    assert lines[1].split() == ["features.0", "Conv2d", "6x28x28", "156", "117,600", "5", "1"]
    assert lines[-1].split() == ["total", "61,706", "416,520"]


def test_csv_has_heights_and_widths_apart():
    lines = to_csv(layer_table(nn.Conv2d(3, 2, (1, 7)), 3, 9)).splitlines()
    assert lines == [
        "layer,type,output,parameters,multiply_adds,field_height,field_width,stride_height,stride_width",
        ",Conv2d,2x9x3,44,1134,1,7,1,1",
    ]


def test_rows_come_back_from_plain_data_old_ones_too():
    row = LayerRow("a", "Conv2d", (2, 9, 3), 44, 1134, (1, 7), (1, 1))
    assert LayerRow.of(row.plain()) == row
    assert LayerRow.of(row.plain() | {"receptive_field": 7, "stride": 2}).receptive_field == (7, 7)
