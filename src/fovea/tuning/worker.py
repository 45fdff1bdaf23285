"""Makes trials of a search, one after another, until there are enough: `python -m fovea.tuning.worker PLAN`.

`fovea.tuning.search` starts one or several. A trial is a training: its checkpoints, its work folder and its MLflow run
are those of `kedro run` with the same overrides, so that one that was stopped goes on, and the best one need not be
trained again.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.config import logs
from fovea.core.errors import FoveaError, Interrupted, RunError
from fovea.core.processes import die_with
from fovea.core.stopping import stoppable
from fovea.shards.folds import reopen
from fovea.training.divergence import DivergedError
from fovea.training.stage import checked, train, work_of
from fovea.training.watching import Halted, Watch
from fovea.training.workfolder import WorkFolder, let_go
from fovea.tuning.ledger import Ledger, note
from fovea.tuning.plan import Plan
from fovea.tuning.recipe import run_words
from fovea.tuning.rows import Row, best_of, shown
from fovea.tuning.space import overrides_of

if TYPE_CHECKING:
    from optuna.trial import Trial

    from fovea.shards import PreparedData
    from fovea.training.job import TrainJob
    from fovea.tuning.recipe import Composed

log = logging.getLogger("fovea.tuning")

PARENT = "FOVEA_TUNE_PARENT"
"""The variable that holds the number of the process that started this one."""
_TWIN_SECONDS = 0.5


class Worker:
    """A process of a search.

    Args:
        plan: The search.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._space = plan.open_space()
        self._ledger = Ledger.open(Path(plan.database), plan.study, self._space)
        self._prepared: PreparedData = reopen(plan.address)
        self._metric = self._space.config.metric

    def work(self) -> None:
        """Makes trials until there are enough, or the time is over.

        Raises:
            Interrupted: A signal came; the trial under way has saved its state.
        """
        plan = self._plan
        while plan.deadline is None or time.time() < plan.deadline:
            trial = self._ledger.next(plan.trials, plan.before, plan.max_epochs)
            if trial is None:
                return
            self._make(trial)
            row = next(row for row in self._ledger.rows() if row.number == trial.number)
            self._tell(row)
            self._tidy()

    def _make(self, trial: Trial) -> None:
        """Trains, and has the ledger know how it ended; a trial that fails does not end the search."""
        try:
            ended = self._outcome(trial)
        except Halted as halted:
            ended = {"ended": "pruned", "reason": str(halted)}
        except DivergedError as error:
            ended = {"ended": "diverged", "reason": _line(error)}
        except Exception as error:
            log.debug("trial %d failed", trial.number, exc_info=error)
            ended = {"ended": "failed", "reason": _line(error)}
        finally:
            let_go(remove=False)
        name = trial.user_attrs.get("facts", {}).get("run_name")
        if name is not None and "run_id" not in ended:
            ended["run_id"] = tracking.recorded_id(WorkFolder.of(name).record)
        self._close(trial, ended)

    def _outcome(self, trial: Trial) -> dict[str, Any]:
        lines = overrides_of(self._space, trial.params)
        words = [*self._plan.overrides, *lines]
        note(trial, overrides=words)
        made = self._plan.recipe.composed(lines)
        job = checked(made.job, self._prepared)
        name = work_of(job, self._prepared).path.name
        note(trial, run_name=name)
        twin = self._twin(trial.number, name)
        if twin is not None:
            return {
                "ended": twin.state,
                "value": twin.value,
                "run_id": twin.run_id,
                "reason": f"as trial {twin.number}",
            }
        self._announce(made, words)
        tags = {"tune": self._plan.study, "trial": str(trial.number)}
        if self._plan.parent:
            tags["mlflow.parentRunId"] = self._plan.parent
        model = train(job, self._prepared, tags, self._watch(trial, job))
        if not self._ledger.study.trials[trial.number].intermediate_values:  # it was trained before
            for row in model.history():
                trial.report(row[self._metric], int(row["epoch"]))
        return {"ended": "complete", "value": float(model.facts[self._metric])}

    def _twin(self, number: int, run_name: str) -> Row | None:
        """The trial that made, or is just making, the same training; waited for in the second case."""
        while True:
            rows = self._ledger.rows()
            twins = [row for row in rows if row.run_name == run_name and row.number < number]
            done = [row for row in twins if row.state in ("complete", "pruned", "diverged")]
            if done:
                return done[-1]
            if not any(row.state == "running" for row in twins):
                return None
            time.sleep(_TWIN_SECONDS)

    def _announce(self, made: Composed, words: Sequence[str]) -> None:
        """Says where the run of the training comes from: a command that makes the same one."""
        command = shlex.join(["kedro", "run", *run_words(self._plan.env, words)])
        facts = tracking.RunFacts(made.config, made.choices, words, command)
        tracking.configure(made.config["tracking"], facts)

    def _watch(self, trial: Trial, job: TrainJob) -> Watch:
        last = job.trainer.max_epochs

        def watch(row: Mapping[str, float]) -> str | None:
            epoch = int(row["epoch"])
            trial.report(row[self._metric], epoch)
            if epoch < last and trial.should_prune():
                return f"after epoch {epoch}, at {self._metric} {shown(self._metric, row[self._metric])}"
            return None

        return watch

    def _close(self, trial: Trial, ended: dict[str, Any]) -> None:
        from optuna.trial import TrialState

        value = ended.pop("value", None)
        note(trial, **ended)
        states = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}
        state = states.get(ended["ended"], TrialState.PRUNED)  # also what diverged: tpe shall keep away from there
        self._ledger.study.tell(trial.number, value if state is TrialState.COMPLETE else None, state)

    def _tell(self, row: Row) -> None:
        lines = " ".join(row.overrides[len(self._plan.overrides) :])
        value = "" if row.value is None else f" {self._metric} {shown(self._metric, row.value)}"
        seconds = "" if row.seconds is None else f" in {row.seconds:.0f} s"
        why = f" ({row.reason})" if row.reason else ""
        level = logging.WARNING if row.state == "failed" else logging.INFO
        log.log(level, "tune: trial %d, %s: %s%s%s%s", row.number, lines, row.state, value, seconds, why)

    def _tidy(self) -> None:
        """Removes what trials that have ended left on disk, but for the best: `kedro run` takes that one up."""
        rows = self._ledger.rows()
        best = best_of(rows, self._space.config.direction)
        needed = {row.run_name for row in rows if row.state == "running"}
        needed |= {best.run_name} if best is not None else set()
        for name in {row.run_name for row in rows if row.counts} - needed:
            work = WorkFolder.of(name or "")
            if name and work.path.exists() and not work.is_under_way:
                work.remove()


def _line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words if isinstance(error, FoveaError) else f"{type(error).__name__}: {words}"


def main(arguments: Sequence[str]) -> int:
    """Runs the worker; returns the process's exit code."""
    if os.environ.get(PARENT):
        die_with(int(os.environ[PARENT]), signal.SIGTERM)  # so that the state is saved
    logs.configure(verbose=os.environ.get("FOVEA_VERBOSE") == "1")
    logs.let_speak(log.name)
    try:
        with stoppable():
            Worker(Plan.read(Path(arguments[0]))).work()
    except Interrupted as error:
        return error.exit_code
    except Exception as error:
        expected = isinstance(error, FoveaError)
        log.debug("ended by an error", exc_info=error)
        # Where there is no log file, what nobody expected must not be lost.
        log.error("tune: %s", _line(error), exc_info=None if expected or logs.log_file() else error)
        return error.exit_code if isinstance(error, FoveaError) else RunError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
