from __future__ import annotations

import io

import pytest
from PIL import Image

from fovea.inspection.drawing import png
from fovea.tuning import pictures
from fovea.tuning.rows import Row
from fovea.tuning.space import Space

SPACE = Space.of(
    "mine",
    {
        "parameters": {
            "optimizer.lr": {"low": 3e-4, "high": 1e-1, "log": True},
            "loader.batch_size": {"low": 16, "high": 64},
            "model": ["lenet5", "tf_mnist", "resnet18"],
        }
    },
)
ROWS = [
    Row(n, "pruned" if n % 3 == 2 else "complete", 0.9 + n / 100, point={**point})
    for n, point in enumerate(
        {"optimizer.lr": 10.0**-power, "loader.batch_size": 16 * power, "model": model}
        for power in (1, 2, 3)
        for model in ("lenet5", "resnet18")
    )
]


def test_places_between_the_ends() -> None:
    lr, size, model = SPACE.parameters.values()
    wide = Space.of("w", {"parameters": {"a": {"low": 1e-4, "high": 1.0, "log": True}}}).parameters["a"]
    assert pictures.place_of(wide, 1e-2) == pytest.approx(0.5)
    assert (pictures.place_of(lr, 3e-4), pictures.place_of(lr, 1e-1)) == (0.0, 1.0)
    assert pictures.place_of(size, 40) == 0.5
    assert [pictures.place_of(model, name) for name in ("lenet5", "tf_mnist", "resnet18")] == [0.0, 0.5, 1.0]


def test_ticks_are_ends_and_powers_of_ten_or_every_choice() -> None:
    lr, size, model = SPACE.parameters.values()
    assert [text for _, text in pictures.ticks_of(lr)] == ["0.0003", "0.001", "0.01", "0.1"]
    assert [text for _, text in pictures.ticks_of(size)] == ["16", "28", "40", "52", "64"]
    assert [text for _, text in pictures.ticks_of(model)] == ["lenet5", "tf_mnist", "resnet18"]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_course_of_a_search(direction: str) -> None:
    axes = pictures.history(ROWS, "val/acc", direction).axes[0]
    (best,) = axes.lines
    numbers, values = best.get_data()
    assert list(numbers) == [0, 1, 3, 4]
    assert list(values) == pytest.approx([0.9, 0.91, 0.93, 0.94] if direction == "maximize" else [0.9] * 4)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "complete",
        "ended early, at its last epoch",
        "best so far",
    ]


def test_a_line_for_each_complete_trial() -> None:
    figure = pictures.parallel(ROWS, SPACE)
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(lines) == 4
    assert lines[-1].get_ydata()[-1] == 1.0  # the best one, above all others
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["optimizer.lr", "loader.batch_size", "model", "val/acc"]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [Row(0, "pruned"), Row(1, "failed")], []])
def test_pictures_of_searches_of_any_length(rows: list[Row]) -> None:
    drawn = [pictures.history(rows, "val/acc", "maximize"), pictures.importances({"model": 1.0}, "val/acc")]
    drawn += [pictures.parallel(rows, SPACE)] if any(row.state == "complete" for row in rows) else []
    for figure in drawn:
        assert Image.open(io.BytesIO(png(figure))).width > 300
