from __future__ import annotations

import numpy as np
import pytest

from fovea.inspection.drawing import png
from fovea.inspection.fields import receptive_fields, widening
from fovea.models.layer_rows import LayerRow


@pytest.fixture
def rows() -> list[LayerRow]:
    def row(name: str, field: tuple[int, int], output: tuple[int, ...] = (1, 4, 4)) -> LayerRow:
        return LayerRow(name, "Conv2d", output, 0, 0, field, (1, 1))

    return [
        row("conv1", (3, 3)),
        row("relu", (3, 3)),
        row("conv2", (5, 9)),
        row("turned", (9, 5)),
        row("aside", (1, 1)),
        row("fc", (12, 12), (10,)),
        row("unused", (40, 40), ()),
    ]


def test_only_layers_that_see_more_are_named(rows: list[LayerRow]) -> None:
    assert list(widening(rows)) == [("conv1", (3, 3)), ("conv2", (5, 9)), ("fc", (12, 12))]


def test_squares_are_to_scale_around_the_middle(rows: list[LayerRow]) -> None:
    figure = receptive_fields(np.zeros((8, 8, 1), np.uint8), rows, "net")
    (axes,) = figure.axes
    boxes = [(patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()) for patch in axes.patches]
    assert boxes == [(2.5, 2.5, 3, 3), (-0.5, 1.5, 9, 5), (-2, -2, 12, 12)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["conv1: 3x3", "conv2: 5x9", "fc: 12x12"]
    assert axes.get_xlim()[0] < -2, "the field that is larger than the picture is seen whole"
    assert axes.get_xlim()[1] > 10
    assert png(figure).startswith(b"\x89PNG")
