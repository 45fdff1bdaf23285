"""From pictures to a table: good ones are classified, bad ones are rows with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from fovea.core.errors import RunError
from fovea.prediction.classify import Predictions, classify
from fovea.prediction.predictor import Predictor
from fovea.prediction.sources import find_source


def of(predictor: Predictor, source: Path, **changes: Any) -> Predictions:
    given = {"temperature": 1.0, "top_k": 2, "batch_size": 10, **changes}
    return classify(predictor, find_source(str(source)), **given)


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_a_row_for_every_picture_whatever_the_batches(predictor: Predictor, folder: Path, batch_size: int) -> None:
    table = of(predictor, folder, batch_size=batch_size).table()
    assert list(table.columns) == [
        *("path", "predicted", "probability", "status", "reason"),
        *("predicted_2", "probability_2"),
    ]
    assert table["path"].tolist() == ["a.png", "b.jpg", "c.png", "deep/d.png", "deep/e.png"]
    assert table["status"].tolist() == ["ok", "unreadable", "ok", "unreadable", "ok"]
    good = table[table["status"] == "ok"]
    assert good["predicted"].tolist() == ["ant", "bee", "cat"]
    assert good["predicted_2"].tolist() == ["bee", "ant", "bee"]
    first = np.exp([0, -127 / 50, -255 / 50])
    assert good["probability"].iloc[0] == pytest.approx(1 / first.sum())
    assert good["probability_2"].iloc[0] == pytest.approx(first[1] / first.sum())
    assert good["reason"].isna().all()
    bad = table[table["status"] == "unreadable"]
    assert bad["reason"].tolist() == ["not a picture", "the file is empty"]
    assert bad[["predicted", "probability", "predicted_2", "probability_2"]].isna().all(axis=None)


def test_there_are_no_more_classes_than_there_are(predictor: Predictor, folder: Path) -> None:
    found = of(predictor, folder, top_k=5)
    assert found.top.shape == (3, 3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


def test_the_temperature_divides_the_logits(predictor: Predictor, folder: Path) -> None:
    expected = np.exp(np.array([0, -127, -255]) / 50 / 2)
    found = of(predictor, folder, temperature=2.0, top_k=3)
    np.testing.assert_allclose(found.probabilities[0], expected / expected.sum(), rtol=1e-6)


def test_a_picture_is_seen_as_the_model_was_validated(make_predictor: Callable[..., Predictor], tmp_path: Path) -> None:
    # Bright at the ends of the long side, which are cut; dark in the middle; and a bright middle of the middle.
    picture = np.full((40, 100), 255, np.uint8)
    picture[:, 30:70] = 0
    picture[10:30, 35:65] = 255
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    cut = {"_target_": "albumentations.CenterCrop", "height": 20, "width": 20}
    assert of(make_predictor(), tmp_path).predicted(0) == "bee"
    assert of(make_predictor(cut), tmp_path).predicted(0) == "cat"


def test_a_picture_that_the_transforms_cannot_take_is_a_row_with_the_reason(
    make_predictor: Callable[..., Predictor], folder: Path
) -> None:
    cut = {"_target_": "albumentations.CenterCrop", "height": 8, "width": 8}
    cv2.imwrite(str(folder / "a.png"), np.zeros((3, 3), np.uint8))
    table = of(make_predictor(cut), folder).table()
    assert table["status"].tolist() == ["unreadable", "unreadable", "ok", "unreadable", "ok"]
    assert table["reason"].iloc[0].startswith("augment.eval cannot change a 3x3x1 picture: ")


def test_bad_files_alone_are_a_table_of_reasons(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "bad.png").touch()
    table = of(predictor, tmp_path).table()
    assert table["status"].tolist() == ["unreadable"]
    table.to_csv(tmp_path / "table.csv", index=False)
    assert pd.read_csv(tmp_path / "table.csv")["reason"].tolist() == ["the file is empty"]


def test_labels_are_judged_where_the_model_knows_them(predictor: Predictor, folder: Path) -> None:
    lines = ["a.png,ant", "b.jpg,bee", "c.png,cat", "deep/e.png,dog", "deep/e.png,", "deep/e.png,ant"]
    (folder / "list.csv").write_text("\n".join(["path,label", *lines]))
    found = of(predictor, folder / "list.csv")
    assert found.rows.tolist() == [0, 2, 3, 4, 5]
    assert found.judged().tolist() == [0, 1, 4]
    # The bright picture called an ant is the surer mistake than the grey one called a cat.
    assert found.wrong().tolist() == [4, 1]
    table = found.table()
    assert list(table.columns)[:3] == ["path", "label", "predicted"]
    assert table["label"].fillna("").tolist() == ["ant", "bee", "cat", "dog", "", "ant"]


def test_a_model_that_gives_no_numbers_fails_the_run(make_predictor: Callable[..., Predictor], folder: Path) -> None:
    broken = make_predictor(logits=lambda pictures: np.full((len(pictures), 3), np.nan, np.float32))
    with pytest.raises(RunError, match="training diverged"):
        of(broken, folder)
