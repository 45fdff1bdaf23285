"""What the pictures say: the texts and numbers in the figures, and PNG files that are small and whole."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fovea.evaluation import metrics, plots
from fovea.evaluation.gallery import Judged, gallery
from fovea.inspection.drawing import MOST_CLASSES, png


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.size


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def names(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def test_training_curves_draw_what_the_history_has() -> None:
    columns = {"train/loss": [2.0, 1.0], "val/loss": [2.5, 1.5], "train/acc": [0.1, 0.5], "val/acc": [0.2, 0.6]}
    figure = plots.training_curves(pd.DataFrame({"epoch": [0, 1], "lr": [0.1, 0.2], **columns}), best_epoch=1)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (nats)", "accuracy", "learning rate"]
    lines = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines[:2]}
    assert lines == {"train": [2.0, 1.0], "val": [2.5, 1.5]}
    assert figure.axes[0].lines[2].get_label() == "kept: epoch 1"


def test_training_curves_do_without_validation() -> None:
    figure = plots.training_curves(pd.DataFrame({"epoch": [0], "train/loss": [2.0]}))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (nats)"]
    assert size(png(figure))[0] > 100


def test_confusion_of_a_few_classes_names_and_counts_them() -> None:
    figure = plots.confusion(np.array([[5, 1], [0, 7]]), ["cat", "dog"])
    (axes,) = figure.axes
    assert names(axes.xaxis) == names(axes.yaxis) == ["cat", "dog"]
    assert texts(axes) == ["5", "1", "7"]


def test_confusion_of_a_thousand_classes_names_the_most_confused_and_keeps_every_picture() -> None:
    counts = np.eye(1000, dtype=np.int64) * 3
    counts[7, 900] = 4
    (axes,) = plots.confusion(counts, [f"class {row}" for row in range(1000)]).axes
    shown = names(axes.yaxis)
    assert len(shown) == MOST_CLASSES
    assert {"class 7", "class 900", "the other 961 classes"} <= set(shown)
    assert sum(int(text) for text in texts(axes)) == counts.sum()


@pytest.mark.parametrize("count", [1, 2, 40, 41, 1000])
def test_confusion_of_any_number_of_classes_is_a_picture_of_sensible_size(count: int) -> None:
    drawn = png(plots.confusion(np.eye(count, dtype=np.int64), [f"a rather long name {row}" for row in range(count)]))
    assert 200 < min(size(drawn)) <= max(size(drawn)) < 2000
    assert len(drawn) < 300_000


def test_names_are_whole_and_never_read_as_formulas() -> None:
    name = "$x^{ " + "and a very long description " * 8 + "end"
    (axes,) = plots.confusion(np.eye(2, dtype=np.int64), [name, "b"]).axes
    assert names(axes.yaxis)[0].split() == name.split()
    assert size(png(axes.figure))[0] > 500


def test_reliability_shows_accuracy_and_counts_of_each_bin() -> None:
    calibration = metrics.calibration(np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]), np.array([0, 1, 0]))
    upper, lower = plots.reliability(calibration).axes
    assert upper.get_ylabel() == f"accuracy (ECE {calibration.error:.3f})"
    assert sorted(bar.get_height() for bar in upper.patches)[-2:] == [0.5, 1.0]
    assert sum(bar.get_height() for bar in lower.patches) == 3


def test_reliability_before_and_after_scaling_stand_side_by_side() -> None:
    before = metrics.calibration(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]))
    after = metrics.calibration(np.array([[0.6, 0.4], [0.6, 0.4]]), np.array([0, 1]))
    figure = plots.reliability(before, after, 2.5)
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["as it is (ECE 0.400)", "logits divided by 2.500 (ECE 0.100)"]
    assert [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes[2:]] == [2, 2]


def test_letters_that_the_font_lacks_cause_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    png(plots.confusion(np.eye(2, dtype=np.int64), ["猫", "犬"]))
    assert not recwarn.list


def test_the_same_figure_gives_the_same_bytes() -> None:
    first, second = (png(plots.confusion(np.eye(3, dtype=np.int64), list("abc"))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28, 3), (300, 200, 3), (1, 400, 1)])
def test_gallery_takes_pictures_of_any_size(shape: tuple[int, int, int]) -> None:
    image = np.full(shape, 7, np.uint8)
    mistakes = [Judged(image, "seven", "one", 0.987)] * 10
    figure = gallery(mistakes)
    (axes,) = figure.axes
    assert texts(axes) == ["seven → one\n0.99"] * 10
    sheet = axes.images[0].get_array()
    assert (sheet == 7).any()
    assert size(png(figure))[0] > 900


def test_a_right_picture_is_named_once() -> None:
    assert Judged(np.zeros((4, 4, 1), np.uint8), "seven", "seven", 0.31).caption == "seven\n0.31"


def test_gallery_grows_for_long_names_and_keeps_them_whole() -> None:
    name = "a name that needs several lines below its picture"
    mistake = Judged(np.zeros((8, 8, 1), np.uint8), name, "b", 0.5)
    assert mistake.caption.replace("\n", " ") == f"{name} → b 0.50"
    short = Judged(mistake.image, "a", "b", 0.5)
    assert gallery([mistake]).get_figheight() > gallery([short]).get_figheight()
