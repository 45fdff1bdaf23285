from __future__ import annotations

import pytest
import torch
from torch import nn

from fovea.models.arithmetic import output_size, receptive_field
from fovea.models.layers import layer_table, to_text


@pytest.mark.parametrize("image_size", [28, 45])
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_are_those_of_the_tensors(network, name, channels, image_size):
    net = network(name, channels=channels, image_size=image_size).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for path, module in net.named_modules():
        module.register_forward_hook(lambda _m, _a, out, path=path: shapes.__setitem__(path, tuple(out.shape[1:])))
    net(torch.zeros(1, channels, image_size, image_size))
    rows = layer_table(net, channels, image_size)
    assert {row.name: row.output for row in rows} == {row.name: shapes[row.name] for row in rows}
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in net.parameters())


def test_lenet_by_hand(network):
    rows = {row.name: row for row in layer_table(network("lenet5"), 1, 28)}
    table = {k: (r.output, r.parameters, r.multiply_adds, r.receptive_field, r.stride) for k, r in rows.items()}
    assert table["features.0"] == ((6, 28, 28), 156, 117_600, 5, 1)
    assert table["features.2"] == ((6, 14, 14), 0, 0, 6, 2)
    assert table["features.3"] == ((16, 10, 10), 2_416, 240_000, 14, 2)
    assert table["features.5"] == ((16, 5, 5), 0, 0, 16, 4)
    assert table["classifier.1"] == ((120,), 48_120, 48_000, 32, 4)
    assert table["classifier.7"] == ((10,), 850, 840, 32, 4)


def test_two_3x3_see_as_much_as_one_5x5_for_fewer_parameters():
    one = layer_table(nn.Conv2d(32, 32, 5), 32, 28)
    two = layer_table(nn.Sequential(nn.Conv2d(32, 32, 3), nn.Conv2d(32, 32, 3)), 32, 28)
    assert two[-1].receptive_field == one[-1].receptive_field == 5
    assert two[-1].output == one[-1].output == (32, 24, 24)
    assert (one[0].parameters, sum(row.parameters for row in two)) == (25_632, 18_496)


def test_strides_dilation_groups_and_padding():
    net = nn.Sequential(
        nn.Conv2d(4, 8, 7, stride=2, padding=3),
        nn.Conv2d(8, 8, 3, groups=8, dilation=2, padding=2, bias=False),
        nn.AvgPool2d(3, stride=2, padding=1),
    )
    rows = layer_table(net, 4, 33)
    assert [row.output for row in rows] == [(8, 17, 17), (8, 17, 17), (8, 9, 9)]
    assert [row.output for row in rows][-1] == tuple(net(torch.zeros(1, 4, 33, 33)).shape[1:])
    assert [row.receptive_field for row in rows] == [7, 15, 19]
    assert [row.stride for row in rows] == [2, 2, 4]
    assert [row.multiply_adds for row in rows] == [8 * 17 * 17 * 49 * 4, 8 * 17 * 17 * 9, 0]


def test_the_network_is_left_as_it_was(network):
    net = network("tf_mnist")
    net.classifier.eval()
    before = [module.training for module in net.modules()]
    layer_table(net, 1, 28)
    assert [module.training for module in net.modules()] == before
    assert not any(module._forward_hooks for module in net.modules())


def test_a_branch_is_refused():
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)

        def forward(self, x):
            return self.a(x) + self.b(x)

    with pytest.raises(ValueError, match=r"layer 'b' takes \(1, 8, 8\), not the \(2, 6, 6\) of the layer before it"):
        layer_table(Skip(), 1, 8)


def test_a_kernel_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match="only square kernels"):
        layer_table(nn.Conv2d(1, 1, (3, 5)), 1, 8)


def test_text_has_a_line_a_layer_and_totals(network):
    lines = to_text(layer_table(network("lenet5"), 1, 28)).splitlines()
    assert lines[0].split() == ["layer", "type", "output", "parameters", "multiply-adds", "field", "stride"]
    assert lines[1].split() == ["features.0", "Conv2d", "6x28x28", "156", "117,600", "5", "1"]
    assert lines[-1].split() == ["total", "61,706", "416,520"]


@pytest.mark.parametrize(
    ("size", "kernel", "options", "expected"),
    [
        (28, 5, {}, 24),
        (28, 5, {"padding": 2}, 28),
        (28, 2, {"stride": 2}, 14),
        (7, 3, {"stride": 2}, 3),
        (9, 3, {"dilation": 4}, 1),
    ],
)
def test_output_size(size, kernel, options, expected):
    assert output_size(size, kernel, **options) == expected


def test_a_kernel_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="a kernel of 5 does not fit into 3 pixels"):
        output_size(3, 5)


def test_receptive_field_grows_with_the_stride_before():
    field, jump = receptive_field(1, 1, 2, stride=2)
    assert receptive_field(field, jump, 5) == (10, 2)
