"""The evaluate stage: a model and test pictures in; numbers, tables and the report out, into the model's MLflow run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fovea import tracking
from fovea.core.files import explained, scratch_directory
from fovea.evaluation.fit import check_model, check_prepared
from fovea.evaluation.frozen import split_logits
from fovea.evaluation.gallery import Mistake
from fovea.evaluation.infer import logits
from fovea.evaluation.insides import activation_maps, check_layers, first_kernels, samples
from fovea.evaluation.metrics import softmax, top1
from fovea.evaluation.mosaics import Mosaic, kernels_mosaic, maps_mosaic
from fovea.evaluation.outcome import Outcome, confusion_table, headline, predictions_table
from fovea.evaluation.report import Findings, Report, write_report
from fovea.evaluation.view import view_of
from fovea.models.layer_rows import LayerRow

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.config.schema import DataConfig, EvaluateConfig
    from fovea.shards import PreparedData, Split
    from fovea.training import TrainedModel

log = logging.getLogger("fovea")

_PICTURED = 2  # test pictures, of different classes, whose activation maps are drawn
_SHOWN = 128  # pixels that the short side of a large picture must keep to be shown small


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
        said = {name: split_logits(model, network, prepared, name, config.batch_size) for name in ("test", "val")}
        outcome = Outcome(prepared.meta.classes, test.labels, softmax(said["test"]))
        metrics = headline(outcome, config.confidence) | val_metrics(said["val"], val.labels)
        findings = Findings(
            run_name=model.facts["run_name"],
            run_id=run.run_id,
            metrics=metrics,
            confidence=config.confidence,
            outcome=outcome,
            mistakes=mistakes(outcome, test, config.gallery),
            history=history,
            best_epoch=model.facts.get("epoch"),
            counts=prepared.meta.counts,
            config=model.facts.get("config") or {key: model.facts[key] for key in ("model", "data")},
            insides=insides(network, test, view_of(model), config),
            layers=[LayerRow.of(row) for row in model.facts.get("layers", ())],
        )
        report = write_report(findings)
        predictions = predictions_table(outcome, test.ids)
        run.log_dataset(prepared.meta.name, prepared.meta.digest, "evaluation", {"pictures": len(test)})
        # Not val/acc, which has a point for each epoch in the run.
        run.log_metrics({name: value for name, value in metrics.items() if name.startswith("test/")})
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


def val_metrics(said: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """`val/acc` of the delivered weights, whatever the training looked at; nothing without validation pictures.

    Args:
        said: Logits float32 [N, K] of the validation pictures.
        labels: int64 [N].
    """
    return {"val/acc": top1(said.argmax(axis=1), labels)} if len(labels) else {}


def insides(network: nn.Module, test: Split, view: Augmenter, config: EvaluateConfig) -> list[Mosaic]:
    """The first kernels, and activation maps of some test pictures; nothing of a network without convolutions.

    Raises:
        UserError: A name in `evaluate.activations` is no layer.
    """
    kernels = first_kernels(network)
    found = [] if kernels is None else [kernels_mosaic(kernels)]
    if config.maps:
        images = samples(test, view, _PICTURED)
        found += [maps_mosaic(one, images, config.maps) for one in activation_maps(network, images, config.activations)]
    return found


def mistakes(outcome: Outcome, split: Split, limit: int) -> list[Mistake]:
    """The surest mistakes with their pictures, whole, as the network does not always see them."""
    return [
        Mistake(
            image=split.image(row, least_side=_SHOWN),
            actual=outcome.classes[outcome.labels[row]],
            predicted=outcome.classes[outcome.predicted[row]],
            probability=float(outcome.probabilities[row, outcome.predicted[row]]),
        )
        for row in outcome.wrong(limit).tolist()
    ]
