"""The page: pictures, whole names, nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fovea.inspection.thumbnails import Thumbnail, thumbnail
from fovea.prediction.classify import Predictions
from fovea.prediction.page import PredictionPage, write_page

LONG = "a class whose name is a whole sentence & <b>more</b> than that, and goes on and on"


def found(count: int = 3, labels: list[str | None] | None = None, **reasons: str) -> Predictions:
    """Pictures of alternating classes, each surer than the one before; the last ones cannot be read."""
    total = count + len(reasons)
    sure = np.linspace(0.5, 0.9, count)
    return Predictions(
        [f"picture {row}.png" for row in range(count)] + list(reasons),
        labels,
        [LONG, "other"],
        np.arange(count),
        np.stack([np.arange(count) % 2, 1 - np.arange(count) % 2], axis=1),
        np.stack([sure, 1 - sure], axis=1),
        dict(zip(range(count, total), reasons.values(), strict=True)),
    )


def show(row: int) -> Thumbnail | None:
    return None if row == 1 else thumbnail(np.full((200, 100, 3), row, np.uint8))


def text(predictions: Predictions, most: int = 60) -> str:
    page = write_page(predictions, "the folder 'x'", ["3 pictures", "by a model"], most, show)
    return (page.path / "predictions.html").read_text(encoding="utf-8")


def test_every_picture_stands_there_with_its_whole_name() -> None:
    page = text(found())
    assert page.count('src="data:image/jpeg;base64,') == 2
    assert "not there any more" in page  # row 1 could not be read again
    assert (
        page.count("a class whose name is a whole sentence &amp; &lt;b&gt;more&lt;/b&gt; than that, and goes on") >= 3
    )
    assert list(re.findall(r"picture \d\.png</figcaption>", page)) == [
        f"picture {row}.png</figcaption>"
        for row in (2, 0, 1)  # by class, the surest first
    ]
    assert "the folder &#x27;x&#x27;" in page
    assert '<p class="headline">3 pictures</p>' in page
    assert not re.search(r"(src|href)=.?https?:", page)
    assert "Mistakes" not in page
    assert "Not readable" not in page


def test_mistakes_come_first_where_there_are_labels() -> None:
    page = text(found(4, ["other", "other", None, LONG]))
    mistakes = page[page.index("Mistakes") : page.index("<h2>Pictures")]
    assert re.findall(r"picture (\d)", mistakes.partition("gallery")[2]) == ["3", "3", "0", "0"]
    assert "other → a class" in mistakes
    classes = page[page.index("<h2>Classes") : page.index("<h2>Mistakes")]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", classes)[-4:] == ["other", "2", "2", "1"]


def test_of_many_pictures_some_are_shown() -> None:
    page = text(found(100), most=5)
    assert "By class, 5 of 100 shown." in page
    unsure = page[page.index("Least sure") : page.index("<h2>Pictures")]
    assert re.findall(r"picture (\d+)\.png</fig", unsure) == ["0", "1", "2", "3", "4"]


def test_without_pictures_there_are_still_the_numbers() -> None:
    page = text(found(), most=0)
    assert "<img" not in page
    assert "Classes" in page


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    page = text(found(0, **{"<bad>.png": "the file is empty"}))
    assert "<td>&lt;bad&gt;.png</td><td>the file is empty</td>" in page
    assert "1 files." in page


def test_a_name_that_is_no_text_is_written_all_the_same() -> None:
    predictions = found(1)
    predictions.names[0] = "caf\udce9.png"  # type: ignore[index]
    assert "caf?.png" in text(predictions)


def test_the_page_is_published_as_a_folder(tmp_path: Path) -> None:
    page = write_page(found(), "x", ["y"], 1, show)
    page.publish(tmp_path / "predictions")
    assert PredictionPage.open(tmp_path / "predictions").path == tmp_path / "predictions"


@pytest.mark.parametrize("count", [0, 1])
def test_no_readable_picture_at_all(count: int) -> None:
    assert "Classes" in text(found(count, bad="damaged"))
