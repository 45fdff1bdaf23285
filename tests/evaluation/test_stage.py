"""The evaluate stage: what it gives, what it tells the run, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fovea import tracking
from fovea.config.schema import EvaluateConfig
from fovea.core.errors import RunError, UserError
from fovea.evaluation.metrics import wilson
from fovea.evaluation.showing import judged
from fovea.evaluation.stage import Evaluation, evaluate, outcome_of
from fovea.evaluation.view import view_of

CONFIG = EvaluateConfig(
    batch_size=3,
    confidence=0.9,
    gallery=1,
    activations="auto",
    maps=4,
    grad_cam=4,
    embedding_map=6,
    map_method="pca",
    tta=[],
    corruptions=[],
    embeddings=False,
)
HISTORY = pd.DataFrame({"epoch": [0, 1], "train/loss": [2.0, 1.0], "val/acc": [0.5, 1.0]})


class Log:
    """A run that remembers what it was told, and which files it was given."""

    run_id = "0f" * 16

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.files: set[str] = set()
        self.texts: dict[str, str] = {}
        self.datasets: list[tuple[Any, ...]] = []
        self.tags: dict[str, Any] = {}

    def log_metrics(self, values: dict[str, float], step: int | None = None) -> None:
        assert step is None
        self.metrics |= values

    def log_artifact(self, path: Path, folder: str = "") -> None:
        assert path.is_file()
        self.files.add(f"{folder}/{path.name}")

    def log_artifacts(self, directory: Path, folder: str = "") -> None:
        self.files |= {f"{folder}/{path.name}" for path in directory.iterdir()}

    def log_text(self, text: str, name: str) -> None:
        self.texts[name] = text

    def set_tags(self, tags: dict[str, Any]) -> None:
        self.tags |= tags

    def log_dataset(self, *facts: Any) -> None:
        self.datasets.append(facts)


class Floats(nn.Module):
    """Pixels as floats of 0..1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float() / 255


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, model: Any) -> Log:
    log = Log()

    @contextmanager
    def stage(name: str, record: Path) -> Iterator[Log]:
        assert (name, record) == ("evaluate", model.path / "run.json")
        yield log

    monkeypatch.setattr(tracking, "stage", stage)
    return log


@pytest.fixture
def evaluated(prepared: Any, model: Any, run: Log) -> Evaluation:
    return evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)


def test_metrics_have_the_promised_names_and_values(evaluated: Evaluation) -> None:
    headline = ["acc", "loss", "balanced_acc", "macro_f1", "auroc"]
    names = {f"{name}{end}" for name in headline for end in ("", "_low", "_high")} | {"ece", "count"}
    assert set(evaluated.metrics) == {f"{split}/{name}" for split in ("test", "val") for name in names}
    assert evaluated.metrics["test/acc"] == 6 / 8
    assert (evaluated.metrics["test/acc_low"], evaluated.metrics["test/acc_high"]) == wilson(6, 8, 0.9)
    assert (evaluated.metrics["test/count"], evaluated.metrics["val/acc"]) == (8, 1.0)


def test_tables_have_a_row_for_each_test_picture(evaluated: Evaluation) -> None:
    assert evaluated.predictions["id"].tolist() == [f"picture-{row}" for row in range(8)]
    assert evaluated.predictions["label"].tolist() == evaluated.confusion["actual"].tolist()
    assert evaluated.confusion["predicted"].tolist() == ["ant", "ant", "bee", "bee", "cat", "cat", "cat", "ant"]


def test_the_report_tells_of_run_data_and_layers(evaluated: Evaluation) -> None:
    page = (evaluated.report.path / "report.html").read_text()
    for text in ("net-insects-0123abcd", "0f" * 16, "test accuracy 75.00 %", "The 1 surest of 2 mistakes", "1,200"):
        assert text in page


def test_the_run_gets_test_numbers_once_and_the_files(evaluated: Evaluation, run: Log) -> None:
    assert run.metrics == {name: value for name, value in evaluated.metrics.items() if name.startswith("test/")}
    pictures = {"curves", "confusion", "reliability", "roc", "misclassified", "least_sure"}
    images = {name for name in run.files if name.startswith("images/")}
    assert run.files - images == {
        "report/report.html",
        "report/per_class.csv",
        "predictions/predictions.parquet",
        *(f"report/{name}.png" for name in pictures),
    }
    side_by_side = {name.removeprefix("images/pictures~").partition("+")[0] for name in images}
    assert side_by_side == {"confusion", "reliability", "roc", "misclassified"}
    assert run.tags == {
        "mlflow.loggedImages": True,
        "evaluated_data": "insects",
        "evaluated_data_digest": "ab" * 32,
        "evaluate.confidence": "0.9",
    }
    assert run.datasets == [("insects", "ab" * 32, "evaluation", {"pictures": 8})]


def test_pictures_of_any_size_are_tested_and_shown_whole(prepared, model, run, make_split) -> None:
    test = make_split([0, 255, 127], [0, 2, 0], in_one_piece=False)
    test.pixels = [np.full((9 + row, 30, 1), level, np.uint8) for row, level in enumerate((0, 255, 127))]
    prepared.image_size, prepared.splits["test"] = None, test
    result = evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    assert result.predictions["predicted"].tolist() == ["ant", "cat", "bee"]
    outcome = outcome_of(model.network(), test, view_of(model), model.facts["data"]["classes"], 3)
    assert [mistake.image.shape for mistake in judged(outcome, test, outcome.wrong(5))] == [(11, 30, 1)]


def test_kernels_and_maps_are_in_the_report_and_the_run(prepared, model, run: Log) -> None:
    model.net = nn.Sequential(model.net, nn.Unflatten(1, (3, 1, 1)), nn.Conv2d(3, 3, 1), nn.Flatten())
    nn.init.dirac_(model.net[2].weight)
    evaluated = evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    assert {"report/kernels.png", "report/maps-2.png", "report/embedding_map.png"} <= run.files
    page = (evaluated.report.path / "report.html").read_text()
    assert "Inside the network" in page
    assert "2: 3 maps, 1x1, beside the picture" in page


def test_grad_cam_and_map_can_be_left_out(prepared, model, run: Log) -> None:
    model.net = nn.Sequential(Floats(), nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(18, 3))
    evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    pictures = {"report/grad_cam.png", "report/embedding_map.png"}
    assert pictures <= run.files
    run.files.clear()
    config = CONFIG.model_copy(update={"grad_cam": 0, "embedding_map": 0})
    evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), config)
    assert not pictures & run.files


def test_a_layer_that_is_none_is_refused_before_the_run_is_opened(prepared, model, monkeypatch) -> None:
    monkeypatch.setattr(tracking, "stage", None)
    config = CONFIG.model_copy(update={"activations": ["nett"]})
    with pytest.raises(UserError, match=r"evaluate.activations names 'nett', which is no layer"):
        evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), config)


def test_without_validation_pictures_there_is_no_validation_accuracy(prepared, model, run, make_split) -> None:
    prepared.splits["val"] = make_split([], [])
    result = evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    assert "val/acc" not in result.metrics


def test_a_model_of_other_classes_is_refused_before_the_run_is_opened(prepared, model, monkeypatch) -> None:
    monkeypatch.setattr(tracking, "stage", None)
    prepared.classes = ("ant", "bee", "dog")
    with pytest.raises(UserError, match="does not fit 'insects'"):
        evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)


def test_a_test_on_other_data_than_those_of_the_training_is_told_once(prepared, model, run: Log, caplog) -> None:
    evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    assert "was trained on" not in caplog.text
    model.facts["data_digest"] = "cd" * 32
    evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    [record] = [record for record in caplog.records if "was trained on" in record.message]
    assert record.levelname == "WARNING"
    assert record.message == (
        "evaluate: the model was trained on 'insects' (digest cdcdcdcdcdcd) and is tested on 'insects' (digest "
        "abababababab): from now on the test numbers of its run are those of other data, some of whose pictures may "
        "have been among its training pictures, and `kedro promote` refuses the run"
    )
    assert run.tags["evaluated_data_digest"] == "ab" * 32


def test_a_diverged_model_fails_the_run_and_logs_no_number(prepared, model, run: Log) -> None:
    model.net.forward = lambda images: images.float().mean(dim=(2, 3)).repeat(1, 3) * float("nan")
    with pytest.raises(RunError, match="training diverged"):
        evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    assert run.metrics == {}


def test_the_temperature_of_validation_is_told_and_changes_no_prediction(prepared, model, run, make_split) -> None:
    prepared.splits["val"] = make_split([0, 255, 127, 200], [0, 2, 1, 0])
    found = evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG)
    temperature = found.metrics["calibration/temperature"]
    assert json.loads(run.texts["calibration/temperature.json"]) == {
        "temperature": temperature,
        "fitted_on": "val",
        "pictures": 4,
    }
    assert temperature > 1  # one of four is wrong, and surely so
    assert run.metrics["test/ece_scaled"] == found.metrics["test/ece_scaled"] != found.metrics["test/ece"]
    assert found.metrics["test/acc"] == 6 / 8


def test_looks_and_corruptions_have_their_numbers_and_their_table(prepared, model, run: Log) -> None:
    config = CONFIG.model_copy(update={"tta": ["flip", "crops"], "corruptions": ["brightness", "rotation"]})
    found = evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), config)
    # Every look at a picture of one grey is the same picture.
    for name in ("acc", "acc_low", "acc_high", "loss"):
        assert found.metrics[f"test/tta_{name}"] == pytest.approx(found.metrics[f"test/{name}"])
    table = pd.read_csv(found.report.path / "corruptions.csv")
    assert table["corruption"].tolist() == ["brightness"] * 5 + ["rotation"] * 5
    assert table["acc"].tolist()[5:] == [6 / 8] * 5
    assert found.metrics["test/acc_corrupted"] == pytest.approx(table["acc"].mean())
    assert "report/corruptions.png" in run.files
    assert "accuracy at severity" in (found.report.path / "report.html").read_text()


def test_embeddings_are_what_the_last_layer_sees(prepared, model, run: Log) -> None:
    model.net = nn.Sequential(model.net, nn.Linear(3, 3, bias=False))
    nn.init.eye_(model.net[1].weight)
    config = CONFIG.model_copy(update={"embeddings": True})
    table = evaluate(prepared, model, HISTORY, SimpleNamespace(name="insects"), config).predictions
    assert table.columns[-1] == "embedding"
    assert table["embedding"][0].tolist() == pytest.approx([0.0, -127 / 50, -255 / 50])


def test_embeddings_of_a_network_without_a_last_layer_are_refused(prepared, model, run: Log) -> None:
    with pytest.raises(UserError, match=r"no last linear layer whose input could be kept"):
        evaluate(
            prepared, model, HISTORY, SimpleNamespace(name="insects"), CONFIG.model_copy(update={"embeddings": True})
        )
    assert run.metrics == {}
