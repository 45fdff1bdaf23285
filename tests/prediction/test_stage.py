"""The stage: what is said of the model, its temperature and the accuracy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fovea.config.schema import PredictConfig
from fovea.core.errors import UserError
from fovea.prediction import stage
from fovea.prediction.predictor import Predictor

CONFIG = PredictConfig(source=None, model="shades", temperature="auto", top_k=5, gallery=10, batch_size=2)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, predictor: Predictor):
    """Runs the stage with a model of a name, on a source; gives the table and the page's text."""
    caplog.set_level(logging.INFO)

    def call(source: Path | None, model: Predictor = predictor, **changes: object):
        monkeypatch.setattr(stage, "open_named", lambda named: model)
        update = {"source": None if source is None else str(source), **changes}
        table, page = stage.predict(None, CONFIG.model_copy(update=update))
        return table, (page.path / "predictions.html").read_text(encoding="utf-8")

    return call


def test_a_table_and_a_page(run, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    table, page = run(folder)
    assert len(table) == 5
    assert '<p class="headline">5 pictures, 2 unreadable</p>' in page
    assert "predict: 5 pictures, 2 unreadable" in caplog.messages
    assert page.count("<img") == 3
    assert "Model shades, MLflow run not known; probabilities as the network gives them" in page


def test_the_accuracy_is_told_where_there_are_labels(run, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = ["a.png,ant", "b.jpg,bee", "c.png,cat", "deep/e.png,dog"]
    (folder / "list.csv").write_text("\n".join(["path,label", *lines]))
    _, page = run(folder / "list.csv")
    assert '<p class="headline">accuracy 50.00 % (95 % interval 9.45 to 90.55, 2 labelled pictures)</p>' in page
    assert "predict: 1 labels are no class of the model (ant, bee, cat) and do not count" in caplog.messages


@pytest.mark.parametrize(
    ("carried", "of_run", "wanted", "exponent", "words"),
    [
        (None, None, "auto", 1.0, "as the network gives them, for no temperature is known of its run"),
        (2.0, 3.0, "auto", 2.0, "at temperature 2, which its run fitted"),
        (None, 2.5, "auto", 2.5, "at temperature 2.5, which its run fitted"),
        (2.0, 3.0, 1.0, 1.0, "at temperature 1, as predict.temperature says"),
    ],
)
def test_the_temperature_is_applied_and_said(
    run, make_predictor: Callable[..., Predictor], folder: Path, monkeypatch, carried, of_run, wanted, exponent, words
) -> None:
    monkeypatch.setattr(stage, "temperature_of", lambda run_id: of_run)
    table, page = run(folder, make_predictor(temperature=carried), temperature=wanted)
    powers = np.exp(np.array([0, -127, -255]) / 50 / exponent)
    assert table["probability"].iloc[0] == pytest.approx(1 / powers.sum())
    assert words in page


def test_a_source_is_refused_before_a_model_is_looked_for(run) -> None:
    with pytest.raises(UserError, match=r"predict\.source is not set"):
        run(None)


def test_without_any_model_the_way_out_is_told(folder: Path) -> None:
    with pytest.raises(UserError, match=r"predict\.model is null and there is no trained model"):
        stage.predict(None, CONFIG.model_copy(update={"source": str(folder), "model": None}))


@pytest.mark.parametrize(
    ("logits", "words"),
    [
        (lambda pictures: np.zeros((len(pictures), 4)), "gives 4 numbers for a picture, but 3 classes are named"),
        (lambda pictures: pictures.reshape(-1, 1000), r"does not take the grey pictures of 4x4 pixels that .*reshape"),
    ],
)
def test_a_model_for_other_pictures_or_classes_is_refused(run, make_predictor, folder: Path, logits, words) -> None:
    with pytest.raises(UserError, match=words):
        run(folder, make_predictor(logits=logits))
