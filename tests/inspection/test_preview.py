"""The preview: a page and its pictures, in a folder where other files stay."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fovea.core.errors import RunError
from fovea.inspection import preview, sheets
from fovea.inspection.drawing import png
from fovea.inspection.preview import Preview


def picture(value: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 1), value, np.uint8)


@pytest.fixture
def made() -> Preview:
    counts = np.array([6, 3])
    return Preview(
        title="pets: preview",
        facts={"epochs": 3, "augmentation": "<b>Flip</b>"},
        heads=("as it is", "epoch 1"),
        samples=[
            ("cat", [[picture(10), picture(20)], [picture(30), picture(40)]]),
            ("dog", [[picture(50), picture(60)]]),
        ],
        mixed=[(picture(70), "cat 0.60\ndog 0.40"), (picture(80), "dog 1.00")],
        rates=np.linspace(0, 0.1, 12),
        steps_per_epoch=4,
        classes=["cat", "dog"],
        counts={"train": counts, "val": counts // 3, "test": counts // 3},
    )


def test_the_folder_has_a_page_and_its_pictures(made: Preview, tmp_path: Path) -> None:
    page = preview.write(made, tmp_path / "out")
    names = {"preview.html", "samples.png", "mixed.png", "schedule.png", "classes.png"}
    assert {path.name for path in page.parent.iterdir()} == names
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 4
    assert "&lt;b&gt;Flip&lt;/b&gt;" in text
    assert all(Image.open(path).size[0] > 100 for path in page.parent.glob("*.png"))


def test_other_files_stay_and_pictures_of_an_earlier_preview_do_not(made: Preview, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    preview.write(made, tmp_path)
    preview.write(replace(made, mixed=()), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "mixed.png").exists()
    assert "Mixed pictures" not in (tmp_path / "preview.html").read_text(encoding="utf-8")


def test_a_foreign_picture_of_that_name_is_left_alone(made: Preview, tmp_path: Path) -> None:
    (tmp_path / "mixed.png").write_bytes(b"mine")
    preview.write(replace(made, mixed=()), tmp_path)
    assert (tmp_path / "mixed.png").read_bytes() == b"mine"


def test_a_file_in_the_place_of_the_folder_is_told(made: Preview, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RunError, match="is a file, not a folder"):
        preview.write(made, tmp_path / "out")


def test_the_table_has_every_picture_with_its_own_pixels(made: Preview) -> None:
    figure = sheets.table(made.samples, made.heads)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["as it is", "epoch 1"] * 2 + ["cat", "dog"]
    assert set(np.unique(axes.images[0].get_array()).tolist()) == {10, 20, 30, 40, 50, 60, 255}
    with Image.open(io.BytesIO(png(figure, sheets.DPI))) as image:
        values = np.asarray(image.convert("L"))
    assert [int((values == value).sum()) for value in (10, 40)] == [96 * 96] * 2


def test_the_curve_has_the_rate_of_every_epoch(made: Preview) -> None:
    (axes,) = preview.schedule(made.rates, 4).axes
    (line,) = axes.lines
    assert line.get_xdata()[[0, 4, -1]].tolist() == [0, 1, 2.75]
    assert line.get_ydata()[4] == made.rates[4]
    (axes,) = preview.schedule(np.linspace(0, 1, 100_000), 1000).axes
    assert len(axes.lines[0].get_xdata()) == 1000


def test_bars_of_many_classes_are_folded(made: Preview) -> None:
    (axes,) = preview.balance(made.counts, made.classes).axes
    assert [bar.get_width() for bar in axes.patches] == [6, 3, 2, 1, 2, 1]
    counts = np.arange(1000)
    (axes,) = preview.balance({"train": counts, "val": counts * 0, "test": counts * 0}, [str(n) for n in counts]).axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert len(shown) == 40
    assert shown[:2] == ["999", "998"]
    assert shown[-1] == "0"
