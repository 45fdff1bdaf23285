"""The evaluate stage: a model and test pictures in; numbers, tables and the report out, into the model's MLflow run."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fovea import tracking
from fovea.core.files import explained, scratch_directory
from fovea.evaluation.circumstances import circumstances
from fovea.evaluation.fit import check_model, check_prepared, unlike_training
from fovea.evaluation.infer import logits
from fovea.evaluation.insides import check_layers
from fovea.evaluation.measuring import Measured, measure
from fovea.evaluation.metrics import softmax
from fovea.evaluation.outcome import Outcome, confusion_table, predictions_table
from fovea.evaluation.report import Findings, Report, write_report
from fovea.evaluation.showing import embedded, explained_pictures, insides, judged
from fovea.evaluation.view import view_of
from fovea.models.layer_rows import LayerRow
from fovea.tracking.charts import PICTURES
from fovea.tracking.side_by_side import log_pictures

if TYPE_CHECKING:
    import pandas as pd
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
    """Tests a model and tells its MLflow run, in the place of what an earlier test told it.

    Raises:
        UserError: Model, data and config do not fit each other.
        RunError: The model gives no numbers, or the disk is full.
    """
    check_prepared(prepared, data.name)
    check_model(prepared, model)
    check_layers(config.activations, model.facts.get("layers", ()))
    warning = unlike_training(model, prepared)
    if warning:
        log.warning("evaluate: %s", warning)
    with tracking.stage("evaluate", record=model.path / "run.json") as run:
        network, test = model.network(), prepared.split("test")
        found = measure(prepared, model, network, config)
        report = write_report(_findings(found, prepared, model, network, history, config, run.run_id))
        predictions = predictions_table(found.outcome, test.ids, found.features if config.embeddings else None)
        run.log_dataset(prepared.meta.name, prepared.meta.digest, "evaluation", {"pictures": len(test)})
        run.set_tags(circumstances(prepared, config.confidence))
        # Not those of validation, of which the run has a point for each epoch.
        run.log_metrics({name: value for name, value in found.metrics.items() if not name.startswith("val/")})
        if "calibration/temperature" in found.metrics:
            facts = {"temperature": found.metrics["calibration/temperature"], "fitted_on": "val"}
            facts["pictures"] = prepared.meta.counts["val"]
            run.log_text(json.dumps(facts, indent=1) + "\n", "calibration/temperature.json")
        run.log_artifacts(report.path, "report")
        log_pictures(run, {name: path for name in PICTURES if (path := report.path / f"{name}.png").is_file()})
        log_predictions(run, predictions)
        wrong = len(found.outcome.wrong(len(test)))
        log.info("evaluate: %s test pictures, %d misclassified", f"{len(test):,}", wrong)
    return Evaluation(predictions, found.metrics, confusion_table(found.outcome), report)


def _findings(
    found: Measured,
    prepared: PreparedData,
    model: TrainedModel,
    network: nn.Module,
    history: pd.DataFrame,
    config: EvaluateConfig,
    run_id: str | None,
) -> Findings:
    outcome, test, view = found.outcome, prepared.split("test"), view_of(model)
    return Findings(
        run_name=model.facts["run_name"],
        run_id=run_id,
        metrics=found.metrics,
        confidence=config.confidence,
        outcome=outcome,
        mistakes=judged(outcome, test, outcome.wrong(config.gallery)),
        least_sure=judged(outcome, test, outcome.least_sure(config.gallery)),
        scaled=found.scaled,
        robustness=found.robustness,
        history=history,
        best_epoch=model.facts.get("epoch"),
        counts=prepared.meta.counts,
        config=model.facts.get("config") or {key: model.facts[key] for key in ("model", "data")},
        insides=insides(network, test, view, config),
        explained=explained_pictures(network, outcome, test, view, config.grad_cam),
        embedded=None if found.features is None else embedded(found.features, len(test), config),
        layers=[LayerRow.of(row) for row in model.facts.get("layers", ())],
    )


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
