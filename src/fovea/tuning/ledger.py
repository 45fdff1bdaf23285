"""The trials of a search, in Optuna's database. Processes that share it take turns by a lock beside the file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.digest import data_digest
from fovea.core.errors import RunError, UserError
from fovea.core.locks import exclusive
from fovea.tracking.facts import is_dead, is_elsewhere, process_identity
from fovea.tracking.uri import of_file
from fovea.tuning.recipe import differences
from fovea.tuning.rows import DONE, Row
from fovea.tuning.space import Point, Space, distributions_of, grid_of

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

_IDENTITY, _FACTS = "identity", "facts"
_MOST_TRIES = 2  # of a trial whose process dies by itself, as one does that takes too much memory
_HOPELESS = 5  # trials that fail at the beginning, with none that does not, after which no other begins
_WAIT = 60.0  # seconds that SQLite waits for another process


@dataclass(frozen=True)
class Ledger:
    """A search's trials.

    Attributes:
        study: Optuna's study.
        file: Its database.
        space: What is searched.
    """

    study: optuna.Study
    file: Path
    space: Space

    @classmethod
    def open(cls, file: Path, name: str, space: Space) -> Ledger:
        """Opens a search, or begins it.

        Args:
            file: The database, which is made if it is not there.
            name: Of the search.
            space: What is searched.

        Raises:
            RunError: The database cannot be opened.
        """
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with _turn(file):
            try:
                storage = optuna.storages.RDBStorage(of_file(file), engine_kwargs={"connect_args": {"timeout": _WAIT}})
                study = optuna.create_study(
                    storage=storage,
                    study_name=name,
                    direction=space.config.direction,
                    load_if_exists=True,
                    pruner=optuna.pruners.NopPruner(),
                )
            except (SQLAlchemyError, RuntimeError) as error:
                raise RunError(
                    f"the database of searches {file} cannot be opened ({_first_line(error)}); move it away"
                ) from error
        return cls(study, file, space)

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Makes sure that the search is the one that was begun under its name.

        Args:
            identity: As `fovea.tuning.recipe.identity_of` gives it.

        Raises:
            UserError: It is another one.
        """
        with _turn(self.file):
            known = self.study.user_attrs.get(_IDENTITY)
            if known is None:
                if self.space.config.sampler == "grid":
                    for point in grid_of(self.space):
                        self.study.enqueue_trial(point)
                self.study.set_user_attr(_IDENTITY, dict(identity))
                return
        differing = differences(known, identity)
        if differing:
            raise UserError(
                f"the study '{self.study.study_name}' is another search: {'; '.join(differing)}; "
                "take another name for this one (--study), or put that back"
            )

    def next(self, limit: int, before: Collection[int], max_epochs: int) -> Trial | None:
        """Begins a trial; None: there is none to begin.

        What is proposed follows from the seed and the trials so far, so that a search of one worker that was stopped
        goes on as if it had not been.

        Args:
            limit: Trials in all.
            before: The numbers of the trials that had ended when the command began.
            max_epochs: Of a training.
        """
        with _turn(self.file):
            rows = self.rows()
            begun = [row for row in rows if row.counts or row.state == "running"]
            if len(begun) >= limit or _is_hopeless(rows, before):
                return None
            self.study.sampler = self._sampler(len(begun))
            self.study.pruner = self._pruner(max_epochs)
            trial = self.study.ask(distributions_of(self.space))
            note(trial, process=process_identity(os.getpid()))
        return trial

    def give_back(self, *, crashed: bool = False, gone: Collection[int] = ()) -> None:
        """Closes the trials whose process is gone, and has each made again.

        Args:
            crashed: Their processes died by themselves; what dies again and again is not made again.
            gone: The numbers of trials that nobody trains any more; believed of those of another machine or container.
        """
        import optuna

        with _turn(self.file):
            for one in self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
                facts = one.user_attrs.get(_FACTS, {})
                process = facts.get("process", "")
                lost = one.number in gone and is_elsewhere(process)
                if process and not is_dead(process) and not lost:
                    continue
                tries = facts.get("tries", 1) + int(crashed)
                again = tries <= _MOST_TRIES
                words = (
                    "its process was killed, as the system does when memory is full" if crashed else "it was stopped"
                )
                note(
                    optuna.trial.Trial(self.study, one._trial_id),
                    ended="stopped" if again else "failed",
                    reason=words if again else f"{words}, and again",
                )
                self.study.tell(one.number, state=optuna.trial.TrialState.FAIL)
                point = one.params or one.system_attrs.get("fixed_params")
                if again and point:
                    repeats = {"repeats": facts.get("repeats", one.number), "tries": tries}
                    self.study.enqueue_trial(point, user_attrs={_FACTS: repeats})

    def rows(self) -> list[Row]:
        """All trials, in order."""
        return [self._row(one) for one in self.study.get_trials(deepcopy=False)]

    def importances(self) -> dict[str, float]:
        """How much of the variation of the metric each parameter explains (fANOVA, Hutter et al. 2014), most first.

        Nothing where too few trials are complete, or all are alike.
        """
        import optuna

        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.space.config.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return dict(optuna.importance.get_param_importances(self.study, evaluator=evaluator))
            except (ValueError, RuntimeError):
                return {}

    def _row(self, one: FrozenTrial) -> Row:
        facts: dict[str, Any] = one.user_attrs.get(_FACTS, {})
        state = facts.get("ended", "") if one.state.is_finished() else one.state.name.lower()
        if state == "running" and is_dead(facts.get("process", "")):
            state = "stopped"
        point: Point = dict(one.params or one.system_attrs.get("fixed_params", {}))
        epochs = max(one.intermediate_values, default=0)
        return Row(
            number=one.number,
            state=state or DONE.get(one.state.name, ""),
            value=one.value if state == "complete" else one.intermediate_values.get(epochs),
            epochs=epochs,
            seconds=None if one.duration is None else one.duration.total_seconds(),
            point=point,
            overrides=tuple(facts.get("overrides", ())),
            run_name=facts.get("run_name"),
            run_id=facts.get("run_id"),
            reason=facts.get("reason", ""),
        )

    def _sampler(self, number: int) -> Any:
        from optuna.samplers import RandomSampler, TPESampler

        config = self.space.config
        seed = int(data_digest([config.seed, number])[:8], 16)
        if config.sampler == "tpe":
            return TPESampler(n_startup_trials=config.startup_trials, seed=seed)
        return RandomSampler(seed=seed)  # of a grid every trial waits with its values

    def _pruner(self, max_epochs: int) -> Any:
        from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

        config = self.space.config
        least = config.warmup_epochs + 1  # the first epoch whose end may be the last
        if config.pruner == "median":
            return MedianPruner(n_startup_trials=config.startup_trials, n_warmup_steps=least)
        if config.pruner == "hyperband" and max_epochs > least:
            return HyperbandPruner(min_resource=least, max_resource=max_epochs, reduction_factor=3)
        return NopPruner()


def note(trial: Trial, **facts: Any) -> None:
    """Keeps facts of a trial in the database, beside those kept before."""
    trial.set_user_attr(_FACTS, {**trial.user_attrs.get(_FACTS, {}), **facts})


def _is_hopeless(rows: list[Row], before: Collection[int]) -> bool:
    """Whether all trials of this command failed, and enough of them to expect no other."""
    ended = [row for row in rows if row.counts and row.number not in before]  # of a grid all rows are there at once
    return len(ended) >= _HOPELESS and all(row.state == "failed" for row in ended)


@contextmanager
def _turn(file: Path) -> Iterator[None]:
    """One process at a time; among many, each waits for its turn."""
    with exclusive(file.with_name(f"{file.name}.lock"), f"writing {file}", "wait for it", wait=-1):
        yield


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
