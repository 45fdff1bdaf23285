"""An ensemble of trained models: measured by soft and hard voting against its best member."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.core.digest import data_digest, file_digest
from fovea.core.errors import UserError
from fovea.evaluation.ballot import Ballot
from fovea.evaluation.circumstances import circumstances
from fovea.evaluation.fit import check_prepared, knows_split
from fovea.evaluation.members import Member, check_member
from fovea.evaluation.metrics import Ints, top1, wilson
from fovea.evaluation.outcome import Outcome, headline, predictions_table
from fovea.evaluation.stage import log_predictions, outcome_of
from fovea.evaluation.view import view_of
from fovea.training.result import RECORD, WEIGHTS
from fovea.training.stage import checked, train
from fovea.training.workfolder import WorkFolder

if TYPE_CHECKING:
    import pandas as pd

    from fovea.config.schema import EnsembleConfig, EvaluateConfig
    from fovea.shards import PreparedData, Split
    from fovea.training import TrainJob

log = logging.getLogger("fovea")

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What the stage gives.

    Attributes:
        summary: Plain data: accuracies of both ways of voting, the best members and the gain over them, the members.
        members: A row a member.
        predictions: A row a test picture: `predictions_table` of soft voting, and `hard`, the class of hard voting.
    """

    summary: dict[str, Any]
    members: pd.DataFrame
    predictions: pd.DataFrame


class Tally:
    """The votes on the test and the validation pictures, and a row for each member that has voted.

    Args:
        prepared: The data.
        evaluate: The section `evaluate` of the config.
    """

    def __init__(self, prepared: PreparedData, evaluate: EvaluateConfig) -> None:
        self._prepared, self._evaluate = prepared, evaluate
        self._splits: dict[str, Split] = {name: prepared.split(name) for name in ("test", "val")}
        self.classes = prepared.meta.classes
        self.ballots = {name: Ballot(len(split), len(self.classes)) for name, split in self._splits.items()}
        self.rows: list[Row] = []

    def add(self, member: Member) -> Row:
        """Lets a member vote; gives its row."""
        network, view = member.model.network(), view_of(member.model)
        row: Row = {
            "member": member.named,
            "run_name": member.model.facts["run_name"],
            "run_id": member.run_id,
            "seed": member.model.facts.get("config", {}).get("seed"),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "same_data": knows_split(member.model, self._prepared),
        }
        for name, split in self._splits.items():
            if len(split):
                outcome = outcome_of(network, split, view, self.classes, self._evaluate.batch_size)
                self.ballots[name].add(outcome.probabilities)
                row |= self._numbers(name, outcome.predicted, split.labels)
        self.rows.append(row)
        return row

    @property
    def circumstances(self) -> dict[str, str]:
        """The tags of a run whose numbers come from here."""
        return circumstances(self._prepared, self._evaluate.confidence)

    def outcome(self, name: str) -> Outcome:
        """Of soft voting on a split."""
        return Outcome(self.classes, self._splits[name].labels, self.ballots[name].soft())

    def summary(self) -> dict[str, Any]:
        """The numbers of the ensemble; `test/acc` and `val/acc` are those of soft voting."""
        numbers: dict[str, Any] = {}
        for name, split in self._splits.items():
            if len(split):
                hard = self._numbers(name, self.ballots[name].hard(), split.labels)
                whole = headline(self.outcome(name), self._evaluate.confidence)
                numbers |= {key.replace("test/", f"{name}/"): value for key, value in whole.items()}
                numbers |= {key.replace("/acc", "/acc_hard"): value for key, value in hard.items()}
        return {
            **numbers,
            **best_members(self.rows, numbers),
            "parameters": sum(row["parameters"] for row in self.rows),
        }

    def predictions(self) -> pd.DataFrame:
        """A row a test picture."""
        outcome = self.outcome("test")
        table = predictions_table(outcome, self._splits["test"].ids)
        table.insert(3, "hard", [self.classes[label] for label in self.ballots["test"].hard().tolist()])
        return table

    def _numbers(self, name: str, predicted: Ints, labels: Ints) -> Row:
        low, high = wilson(int((predicted == labels).sum()), len(labels), self._evaluate.confidence)
        return {f"{name}/acc": top1(predicted, labels), f"{name}/acc_low": low, f"{name}/acc_high": high}


def best_members(rows: Sequence[Row], numbers: Mapping[str, float]) -> dict[str, Row]:
    """The best member and the gain over it in test accuracy: chosen by validation, and on the test pictures themselves.

    The one chosen by validation is what one would have delivered instead of the ensemble. Where there are no validation
    pictures, or a member may have seen them in training, it is the one that is best on the test pictures.

    Args:
        rows: Of the members.
        numbers: Of the ensemble: `test/acc`, `test/acc_hard`.
    """
    is_fair = all(row["same_data"] and "val/acc" in row for row in rows)
    by = {"best": "val/acc" if is_fair else "test/acc", "best_on_test": "test/acc"}
    chosen = {}
    for name, key in by.items():
        row = max(rows, key=lambda one: float(one[key]))
        gains = {"gain": numbers["test/acc"] - row["test/acc"], "gain_hard": numbers["test/acc_hard"] - row["test/acc"]}
        chosen[name] = {"member": row["member"], "chosen_by": key, "test/acc": row["test/acc"], **gains}
    return chosen


def measure(
    prepared: PreparedData, members: Sequence[Member], job: TrainJob, config: EnsembleConfig, evaluate: EvaluateConfig
) -> Ensemble:
    """Trains the members that seeds stand for, and measures all members as one.

    Each member that is trained here has an MLflow run of its own, nested under the ensemble's. One that is finished is
    not trained again until the ensemble is: the same call goes on where an earlier process was stopped.

    Args:
        prepared: The data whose test pictures decide.
        members: Models that exist.
        job: Trained once with each of `config.seeds`.
        config: The section `ensemble`.
        evaluate: The section `evaluate`.

    Raises:
        UserError: A member does not fit the data, or these have no test pictures.
        RunError: Training failed, or another process does the same.
        Interrupted: A signal ended it.
    """
    import pandas as pd

    _check(prepared, members, job)
    jobs = {seed: checked(job.model_copy(update={"seed": seed}), prepared) for seed in config.seeds}
    digest = data_digest(
        {
            "prepared": prepared.meta.digest,
            "weights": [member.weights for member in members],
            "jobs": [one.digest(prepared.meta.digest) for one in jobs.values()],
        }
    )
    work = WorkFolder.of(f"ensemble-{prepared.meta.name}-{digest[:8]}")
    work.take()
    params = {"ensemble": config.model_dump(mode="json")}
    with tracking.stage("ensemble", record=work.record, run_name=work.path.name, params=params) as run:
        tally = Tally(prepared, evaluate)
        run.set_tags({"config_digest": digest, "data_digest": prepared.meta.digest, **tally.circumstances})
        tracking.log_data(run, prepared)
        for member in members:
            _say(tally.add(member))
        for seed, one in jobs.items():
            log.info("ensemble: member with seed %d", seed)
            _say(_trained(seed, one, prepared, run, tally))
        origin = {"run_name": work.path.name, "run_id": run.run_id, "data": prepared.meta.name}
        summary = {**origin, **tally.summary()}
        table, predictions = pd.DataFrame(tally.rows), tally.predictions()
        _record(run, summary, table, predictions)
    return Ensemble(summary | {"members": tally.rows}, table, predictions)


def _check(prepared: PreparedData, members: Sequence[Member], job: TrainJob) -> None:
    check_prepared(prepared, job.data.name)
    for member in members:
        check_member(member, prepared)
        if not knows_split(member.model, prepared):
            log.warning(
                "member '%s' was trained on another version of the data than these; some of the pictures that it is "
                "judged by here may have been among its training pictures",
                member.named,
            )
    if not prepared.meta.counts["test"]:
        raise UserError(
            f"'{prepared.meta.name}' has no test pictures; raise prepare.test_fraction, or give it a test split of its "
            "own"
        )


def _trained(seed: int, job: TrainJob, prepared: PreparedData, parent: tracking.Run, tally: Tally) -> Row:
    """Trains a member and lets it vote; its run ends."""
    tags = {"ensemble": parent.name}
    if parent.run_id:
        tags["mlflow.parentRunId"] = parent.run_id
    model = train(job, prepared, tags)
    record = model.path / RECORD
    with tracking.stage("evaluate", record=record) as run:
        row = tally.add(Member(f"seed {seed}", model, run.run_id, file_digest(model.path / WEIGHTS)))
        run.set_tags(tally.circumstances)
        run.log_metrics({name: value for name, value in row.items() if name.startswith("test/")})
    tracking.finish(record)
    return row


def _say(row: Row) -> None:
    val = f", val/acc {100 * row['val/acc']:.2f} %" if "val/acc" in row else ""
    log.info("ensemble: %s, test/acc %.2f %%%s", row["member"], 100 * row["test/acc"], val)


def _record(run: tracking.Run, summary: Mapping[str, Any], table: pd.DataFrame, predictions: pd.DataFrame) -> None:
    """Tells the ensemble's own run."""
    gains = {"ensemble/gain": summary["best"]["gain"], "ensemble/gain_on_test": summary["best_on_test"]["gain"]}
    run.log_metrics({name: value for name, value in summary.items() if "/" in name} | gains)
    run.log_metrics({"ensemble/members": len(table), "ensemble/parameters": summary["parameters"]})
    run.set_tags({f"member.{number}": row or "" for number, row in enumerate(table["run_id"], start=1)})
    run.log_text(json.dumps(summary, indent=2), "ensemble/ensemble.json")
    run.log_text(table.to_csv(index=False), "ensemble/members.csv")
    log_predictions(run, predictions)
