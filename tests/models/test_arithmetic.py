from __future__ import annotations

import pytest
import torch
from torch import nn

from fovea.models.arithmetic import adaptive_window, output_size, transposed_size


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


@pytest.mark.parametrize("size", range(4, 14))
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1])
def test_rounding_up_is_that_of_a_pool(size, stride, padding):
    pool = nn.MaxPool2d(3, stride, padding, ceil_mode=True)
    expected = pool(torch.zeros(1, 1, size, size)).shape[2]
    assert output_size(size, 3, stride=stride, padding=padding, ceil=True) == expected


def test_a_kernel_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="a kernel of 5 does not fit into 3 pixels"):
        output_size(3, 5)


@pytest.mark.parametrize(("stride", "padding", "dilation", "extra"), [(1, 0, 1, 0), (2, 1, 1, 1), (3, 2, 2, 0)])
def test_transposed_size_is_that_of_the_tensor(stride, padding, dilation, extra):
    layer = nn.ConvTranspose2d(1, 1, 4, stride, padding, extra, dilation=dilation)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "extra": extra}
    assert transposed_size(6, 4, **options) == layer(torch.zeros(1, 1, 6, 6)).shape[2]


@pytest.mark.parametrize(
    ("size", "outputs", "window", "step"), [(7, 1, 7, 7), (6, 6, 1, 1), (11, 4, 4, 2), (1, 7, 1, 1), (12, 4, 3, 3)]
)
def test_adaptive_windows(size, outputs, window, step):
    assert adaptive_window(size, outputs) == (window, step)
