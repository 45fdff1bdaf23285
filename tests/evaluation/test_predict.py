"""From a folder of pictures to a table: good ones are classified, bad ones are rows with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from fovea.core.errors import RunError, UserError
from fovea.evaluation.predict import predict_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dark, a grey and a bright picture, and two files that are none."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for name, level in (("a.png", 0), ("c.png", 127), ("deep/e.png", 255)):
        cv2.imwrite(str(source / name), np.full((9, 9), level, np.uint8))
    (source / "b.jpg").write_text("no picture")
    (source / "deep" / "d.png").touch()
    return source


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_a_row_for_every_picture_whatever_the_batches(model: Any, folder: Path, batch_size: int) -> None:
    table = predict_folder(model, str(folder), batch_size)
    assert list(table.columns) == ["path", "predicted", "probability", "status", "reason"]
    assert table["path"].tolist() == ["a.png", "b.jpg", "c.png", "deep/d.png", "deep/e.png"]
    assert table["status"].tolist() == ["ok", "unreadable", "ok", "unreadable", "ok"]
    good = table[table["status"] == "ok"]
    assert good["predicted"].tolist() == ["ant", "bee", "cat"]
    first = np.exp([0, -127 / 50, -255 / 50])
    assert good["probability"].iloc[0] == pytest.approx(1 / first.sum())
    assert good["reason"].isna().all()
    bad = table[table["status"] == "unreadable"]
    assert bad["reason"].tolist() == ["not a picture", "the file is empty"]
    assert bad[["predicted", "probability"]].isna().all(axis=None)


def test_a_picture_is_seen_as_the_model_was_validated(model: Any, tmp_path: Path) -> None:
    # Bright at the ends of the long side, which are cut; dark in the middle; and a bright middle of the middle.
    picture = np.full((40, 100), 255, np.uint8)
    picture[:, 30:70] = 0
    picture[10:30, 35:65] = 255
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    cut = {"_target_": "albumentations.CenterCrop", "height": 20, "width": 20}
    assert predict_folder(model, str(tmp_path), 10)["predicted"].tolist() == ["bee"]
    model.facts["config"] = {"augment": {"eval": [cut]}}
    assert predict_folder(model, str(tmp_path), 10)["predicted"].tolist() == ["cat"]


def test_a_picture_that_the_transforms_cannot_take_is_a_row_with_the_reason(model: Any, folder: Path) -> None:
    cut = {"_target_": "albumentations.CenterCrop", "height": 8, "width": 8}
    cv2.imwrite(str(folder / "a.png"), np.zeros((3, 3), np.uint8))
    model.facts["config"] = {"augment": {"eval": [cut]}}
    table = predict_folder(model, str(folder), 10)
    assert table["status"].tolist() == ["unreadable", "unreadable", "ok", "unreadable", "ok"]
    assert table["reason"].iloc[0].startswith("augment.eval cannot change a 3x3x1 picture: ")


def test_the_table_survives_csv(model: Any, folder: Path, tmp_path: Path) -> None:
    predict_folder(model, str(folder), 2).to_csv(tmp_path / "table.csv", index=False)
    assert pd.read_csv(tmp_path / "table.csv")["predicted"].dropna().tolist() == ["ant", "bee", "cat"]


def test_a_folder_of_bad_files_alone_is_a_table_of_reasons(model: Any, tmp_path: Path, caplog) -> None:
    (tmp_path / "bad.png").touch()
    table = predict_folder(model, str(tmp_path), 10)
    assert table["status"].tolist() == ["unreadable"]
    assert "predict: 1 pictures, 1 unreadable" in caplog.messages


@pytest.mark.parametrize("source", [None, ""])
def test_without_a_source_the_way_out_is_told(model: Any, source: str | None) -> None:
    with pytest.raises(UserError, match=r"predict.source is not set; .*`kedro run --pipelines=predict predict.source="):
        predict_folder(model, source, 10)


def test_a_model_that_gives_no_numbers_fails_the_run(model: Any, folder: Path) -> None:
    model.net.forward = lambda images: images.float().mean(dim=(1, 2, 3))[:, None] * float("nan")
    with pytest.raises(RunError, match="training diverged"):
        predict_folder(model, str(folder), 10)
