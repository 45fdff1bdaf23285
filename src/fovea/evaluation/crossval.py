"""k-fold cross-validation: a model a fold, each judged on the pictures that it was not trained on."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from fovea import tracking
from fovea.core.digest import data_digest
from fovea.core.files import atomic_file
from fovea.evaluation.fit import check_prepared
from fovea.evaluation.frozen import split_logits
from fovea.evaluation.metrics import Floats, log_loss, softmax, top1
from fovea.evaluation.outcome import Outcome, headline, predictions_table
from fovea.evaluation.stage import log_predictions
from fovea.shards.folds import Fold, Parting, folds_of
from fovea.shards.selection import Selection
from fovea.training.result import RECORD
from fovea.training.stage import checked, train, work_of
from fovea.training.workfolder import WorkFolder

if TYPE_CHECKING:
    import pandas as pd

    from fovea.config.schema import CrossvalConfig, EvaluateConfig
    from fovea.shards import PreparedData
    from fovea.training import TrainJob

log = logging.getLogger("fovea")


@dataclass(frozen=True)
class FoldFacts:
    """What came out of one fold; a row of the table.

    Attributes:
        fold: Its number, from 1.
        run_name: Of the model's MLflow run.
        run_id: Of that run; None while MLflow was out of reach.
        train_count: Pictures that the model was trained on.
        count: Pictures that it was judged on.
        acc: Part of them classified rightly.
        loss: Mean negative log likelihood, in nats.
        epoch: Whose weights were judged.
    """

    fold: int
    run_name: str
    run_id: str | None
    train_count: int
    count: int
    acc: float
    loss: float
    epoch: int


@dataclass(frozen=True, eq=False)
class FoldResult:
    """One fold's facts, and what its model says of the pictures that were held out, float64 [N, K]."""

    facts: FoldFacts
    probabilities: Floats

    def write(self, path: Path) -> None:
        """Writes the file that makes the fold finished.

        Raises:
            RunError: The disk is full, read-only or not writable.
        """
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, probabilities=self.probabilities, facts=np.array(json.dumps(asdict(self.facts))))

    @classmethod
    def read(cls, path: Path) -> FoldResult | None:
        """What an earlier process wrote; None: nothing, or nothing that can be read."""
        with suppress(OSError, ValueError, KeyError, TypeError, BadZipFile), np.load(path) as content:
            return cls(FoldFacts(**json.loads(str(content["facts"]))), content["probabilities"])
        return None


@dataclass(frozen=True, eq=False)
class Crossval:
    """What cross-validation gives.

    Attributes:
        summary: Plain data: mean and standard deviation over the folds, numbers of all pictures together, the folds.
        folds: A row a fold, with the columns of `FoldFacts`.
        predictions: A row a picture, of the model that was not trained on it: `predictions_table` with the columns
            `fold` and `split` beside.
    """

    summary: dict[str, Any]
    folds: pd.DataFrame
    predictions: pd.DataFrame


def cross_validate(prepared: PreparedData, job: TrainJob, config: CrossvalConfig, evaluate: EvaluateConfig) -> Crossval:
    """Trains a job once a fold, and puts together what each model says of the fold that was held out.

    Each model has an MLflow run of its own, nested under one that holds the summary. A fold that is finished is not
    trained again until all are: the same call goes on where an earlier process was stopped.

    Raises:
        UserError: Job, data and folds do not fit each other.
        RunError: Training failed, or another process does the same.
        Interrupted: A signal ended it.
    """
    import pandas as pd

    check_prepared(prepared, job.data.name)
    parting = Parting(config.folds, tuple(config.splits), config.seed)
    folds = folds_of(prepared, parting)
    job = checked(job, folds[0])
    digest = data_digest({"job": job.digest(prepared.meta.digest), **config.model_dump(mode="json")})
    work = WorkFolder.of(f"crossval-{job.run_name(digest)}")
    work.take()
    params = {**job.plain(), "crossval": config.model_dump(mode="json")}
    with tracking.stage("crossval", record=work.record, run_name=work.path.name, params=params) as run:
        run.set_tags({"config_digest": digest, "data_digest": prepared.meta.digest})
        tracking.log_data(run, prepared)
        if job.callbacks.checkpoint.keep == "best":
            log.info(
                "crossval: each model is that of its best epoch on the fold it is judged on, which flatters it a "
                "little; callbacks.checkpoint.keep=last does not"
            )
        results = [_fold(fold, job, work, run, evaluate.batch_size) for fold in folds]
        outcome = _pooled(folds, results)
        facts = [result.facts for result in results]
        origin = {"run_name": work.path.name, "run_id": run.run_id, "model": job.model.name, "data": job.data.name}
        summary = {**origin, **config.model_dump(mode="json"), **summarise(facts, outcome, evaluate.confidence)}
        table = pd.DataFrame([asdict(fact) for fact in facts])
        predictions = _predictions(folds, outcome)
        run.log_metrics({name: value for name, value in summary.items() if "/" in name})
        run.log_text(json.dumps(summary, indent=2), "crossval/crossval.json")
        run.log_text(table.to_csv(index=False), "crossval/folds.csv")
        log_predictions(run, predictions)
    return Crossval(summary | {"by_fold": [asdict(fact) for fact in facts]}, table, predictions)


def summarise(folds: Sequence[FoldFacts], outcome: Outcome, confidence: float) -> dict[str, float]:
    """The numbers over all folds.

    `val/acc` and `val/loss` are means over the folds, `val/acc_std` the sample standard deviation of the folds'
    accuracies; `pooled/...` are those of all held-out pictures taken as one test, with Wilson's interval.

    Args:
        folds: At least two.
        outcome: Of all pictures.
        confidence: Coverage of the interval, as 0.95.
    """
    accuracies = np.array([fold.acc for fold in folds])
    pooled = {name.replace("test/", "pooled/"): value for name, value in headline(outcome, confidence).items()}
    return {
        "val/acc": float(accuracies.mean()),
        "val/acc_std": float(accuracies.std(ddof=1)),
        "val/acc_min": float(accuracies.min()),
        "val/acc_max": float(accuracies.max()),
        "val/loss": float(np.mean([fold.loss for fold in folds])),
        **pooled,
    }


def _fold(fold: Fold, job: TrainJob, work: WorkFolder, parent: tracking.Run, batch_size: int) -> FoldResult:
    """One fold's result, from the file of an earlier process or made now."""
    count = fold.parting.folds
    path = work.path / f"fold-{fold.number}.npz"
    # Taken also when it is finished, so that it is removed with the others once all are.
    work_of(job, fold).take()
    result = FoldResult.read(path)
    if result is None:
        log.info("crossval: fold %d of %d, %s", fold.number, count, _counts(fold))
        result = _trained(fold, job, parent, batch_size)
        result.write(path)
    facts = result.facts
    parent.log_metrics({"fold/acc": facts.acc, "fold/loss": facts.loss}, step=fold.number)
    log.info("crossval: fold %d of %d, val/acc %.2f %%, val/loss %.4f", fold.number, count, 100 * facts.acc, facts.loss)
    return result


def _counts(fold: Fold) -> str:
    return f"{fold.meta.counts['train']:,} training pictures, {fold.meta.counts['val']:,} held out"


def _trained(fold: Fold, job: TrainJob, parent: tracking.Run, batch_size: int) -> FoldResult:
    tags = {"crossval": parent.name, "fold": f"{fold.number}/{fold.parting.folds}"}
    if parent.run_id:
        tags["mlflow.parentRunId"] = parent.run_id
    model = train(job, fold, tags)
    record, held_out = model.path / RECORD, fold.split("val")
    with tracking.stage("evaluate", record=record) as run:
        said = split_logits(model, model.network(), fold, "val", batch_size)
        outcome = Outcome(fold.meta.classes, held_out.labels, softmax(said))
        facts = FoldFacts(
            fold=fold.number,
            run_name=model.facts["run_name"],
            run_id=run.run_id,
            train_count=fold.meta.counts["train"],
            count=len(held_out),
            acc=top1(outcome.predicted, outcome.labels),
            loss=log_loss(outcome.probabilities, outcome.labels),
            epoch=model.facts["epoch"],
        )
        # Not val/acc, which has a point for each epoch in the run.
        run.log_metrics({"fold/acc": facts.acc, "fold/loss": facts.loss})
    tracking.finish(record)
    return FoldResult(facts, outcome.probabilities)


def _joined(folds: Sequence[Fold]) -> tuple[Selection, np.ndarray[Any, np.dtype[np.int64]]]:
    """All pictures that were parted, and the fold of each."""
    first = folds[0]
    parts = [part for name in first.parting.splits for part in first.base.split(name).parts]
    return Selection("val", parts), np.concatenate([first.numbers[name] for name in first.parting.splits])


def _pooled(folds: Sequence[Fold], results: Sequence[FoldResult]) -> Outcome:
    """What was said of each picture by the model that had not seen it, in the order of the splits."""
    joined, numbers = _joined(folds)
    probabilities = np.empty((len(joined), len(folds[0].meta.classes)))
    for fold, result in zip(folds, results, strict=True):
        probabilities[numbers == fold.number] = result.probabilities
    return Outcome(folds[0].meta.classes, joined.labels, probabilities)


def _predictions(folds: Sequence[Fold], outcome: Outcome) -> pd.DataFrame:
    joined, numbers = _joined(folds)
    table = predictions_table(outcome, joined.ids)
    table.insert(1, "fold", numbers)
    table.insert(
        2, "split", np.repeat([split.name for split, _ in joined.parts], [len(rows) for _, rows in joined.parts])
    )
    return table
