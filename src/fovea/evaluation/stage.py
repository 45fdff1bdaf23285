"""The evaluate stage: a model and test pictures in; numbers, tables and the report out, into the model's MLflow run."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fovea import tracking
from fovea.core.files import explained, scratch_directory
from fovea.evaluation.embeddings import check_embeddings, listening
from fovea.evaluation.fit import check_model, check_prepared
from fovea.evaluation.frozen import split_logits
from fovea.evaluation.infer import logits
from fovea.evaluation.insides import check_layers
from fovea.evaluation.metrics import calibration, log_loss, softmax
from fovea.evaluation.outcome import Outcome, confusion_table, headline, predictions_table
from fovea.evaluation.report import Findings, Report, write_report
from fovea.evaluation.showing import embedded, every, explained_pictures, insides, judged
from fovea.evaluation.temperature import fit_temperature, scaled
from fovea.evaluation.view import view_of
from fovea.models.layer_rows import LayerRow

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.config.schema import DataConfig, EvaluateConfig
    from fovea.shards import PreparedData, Split
    from fovea.training import TrainedModel

log = logging.getLogger("fovea")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the stage gives.

    Attributes:
        predictions: A row a test picture.
        metrics: By name, as in `test/acc`.
        confusion: Actual and predicted class, a row a test picture.
        report: The page with its pictures.
    """

    predictions: pd.DataFrame
    metrics: dict[str, float]
    confusion: pd.DataFrame
    report: Report


def evaluate(
    prepared: PreparedData, model: TrainedModel, history: pd.DataFrame, data: DataConfig, config: EvaluateConfig
) -> Evaluation:
    """Tests a model and tells its MLflow run.

    Raises:
        UserError: Model, data and config do not fit each other.
        RunError: The model gives no numbers, or the disk is full.
    """
    check_prepared(prepared, data.name)
    check_model(prepared, model)
    check_layers(config.activations, model.facts.get("layers", ()))
    with tracking.stage("evaluate", record=model.path / "run.json") as run:
        network, test, val = model.network(), prepared.split("test"), prepared.split("val")
        said_val = split_logits(model, network, prepared, "val", config.batch_size)
        step = 1 if config.embeddings else every(config.embedding_map, len(test))
        if config.embeddings:
            check_embeddings(network)
        with listening(network, step) as heard:
            said = split_logits(model, network, prepared, "test", config.batch_size)
        outcome = Outcome(prepared.meta.classes, test.labels, softmax(said))
        features = np.concatenate(heard) if heard else None
        temperature = fit_temperature(said_val, val.labels)
        metrics = {
            **headline(outcome, config.confidence),
            **scaled_metrics(outcome, said, temperature),
            **val_metrics(said_val, val.labels, prepared.meta.classes, config.confidence),
        }
        findings = Findings(
            run_name=model.facts["run_name"],
            run_id=run.run_id,
            metrics=metrics,
            confidence=config.confidence,
            outcome=outcome,
            mistakes=judged(outcome, test, outcome.wrong(config.gallery)),
            least_sure=judged(outcome, test, outcome.least_sure(config.gallery)),
            scaled=None if temperature is None else calibration(scaled(said, temperature), test.labels),
            history=history,
            best_epoch=model.facts.get("epoch"),
            counts=prepared.meta.counts,
            config=model.facts.get("config") or {key: model.facts[key] for key in ("model", "data")},
            insides=insides(network, test, view_of(model), config),
            explained=explained_pictures(network, outcome, test, view_of(model), config.grad_cam),
            embedded=None if features is None else embedded(features, len(test), config),
            layers=[LayerRow.of(row) for row in model.facts.get("layers", ())],
        )
        report = write_report(findings)
        predictions = predictions_table(outcome, test.ids, features if config.embeddings else None)
        run.log_dataset(prepared.meta.name, prepared.meta.digest, "evaluation", {"pictures": len(test)})
        # Not those of validation, of which the run has a point for each epoch.
        run.log_metrics({name: value for name, value in metrics.items() if not name.startswith("val/")})
        if temperature:
            facts = {"temperature": temperature, "fitted_on": "val", "pictures": len(val)}
            run.log_text(json.dumps(facts, indent=1) + "\n", "calibration/temperature.json")
        run.log_artifacts(report.path, "report")
        log_predictions(run, predictions)
        log.info("evaluate: %s test pictures, %d misclassified", f"{len(test):,}", len(outcome.wrong(len(test))))
    return Evaluation(predictions, metrics, confusion_table(outcome), report)


def log_predictions(run: tracking.Run, predictions: pd.DataFrame) -> None:
    """Adds a table of predictions to the artifacts of a run, as Parquet."""
    folder = scratch_directory()
    try:
        with explained("writing the predictions"):
            predictions.to_parquet(folder / "predictions.parquet", index=False)
        run.log_artifact(folder / "predictions.parquet", "predictions")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def outcome_of(network: nn.Module, split: Split, view: Augmenter, classes: Sequence[str], batch_size: int) -> Outcome:
    """What a network says about the pictures of a split, and what they are."""
    return Outcome(classes, split.labels, softmax(logits(network, split, view, batch_size)))


def scaled_metrics(outcome: Outcome, said: NDArray[np.float32], temperature: float | None) -> dict[str, float]:
    """The temperature and what it does to the test pictures; nothing where none could be fitted.

    Args:
        outcome: Of the test pictures.
        said: Their logits float32 [N, K].
        temperature: Of the validation pictures.
    """
    if temperature is None:
        return {}
    probabilities = scaled(said, temperature)
    return {
        "calibration/temperature": temperature,
        "test/ece_scaled": calibration(probabilities, outcome.labels).error,
        "test/loss_scaled": log_loss(probabilities, outcome.labels),
    }


def val_metrics(
    said: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str], confidence: float
) -> dict[str, float]:
    """The headline numbers of the delivered weights, as `val/acc`, whatever the training looked at.

    Args:
        said: Logits float32 [N, K] of the validation pictures.
        labels: int64 [N]; without any there are no numbers.
        classes: K names.
        confidence: Coverage of the intervals.
    """
    if not len(labels):
        return {}
    numbers = headline(Outcome(classes, labels, softmax(said)), confidence)
    return {name.replace("test/", "val/"): value for name, value in numbers.items()}
