"""A search from its space to its results: the study, its MLflow run, and the workers' orders."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fovea import tracking
from fovea.core.digest import data_digest
from fovea.core.errors import RunError
from fovea.core.files import atomic_directory
from fovea.core.places import project_root, shared_root
from fovea.tracking.uri import resolve, sqlite_file
from fovea.training.stage import check_fit
from fovea.training.workfolder import WorkFolder, let_go
from fovea.tuning import results
from fovea.tuning.ledger import Ledger
from fovea.tuning.plan import Plan
from fovea.tuning.recipe import Composed, Recipe, check_space, identity_of
from fovea.tuning.rows import Row, best_of, counted, reasons, shown
from fovea.tuning.search import search

if TYPE_CHECKING:
    from fovea.shards import PreparedData
    from fovea.tuning.space import Space

log = logging.getLogger("fovea")

DATABASE = "tune.db"
FOLDER = Path("data/08_reporting/tune")
_REST_SECONDS = 120.0  # for the workers of a command that was killed to save their state


@dataclass(frozen=True)
class Wish:
    """What the command line says of a search.

    Attributes:
        study: Its name; None: one that follows from all that decides the trials.
        trials: In all; None: as the space says.
        workers: Processes at once.
    """

    study: str | None = None
    trials: int | None = None
    workers: int = 1


@dataclass(frozen=True)
class Study:
    """A search and what came out.

    Attributes:
        name: Of the search and its MLflow run.
        folder: With its table and pictures.
        rows: The trials.
        best: The best one; its overrides make the same training.
    """

    name: str
    folder: Path
    rows: Sequence[Row]
    best: Row


def tune(space: Space, recipe: Recipe, base: Composed, prepared: PreparedData, wish: Wish) -> Study:
    """Searches, or goes on where an earlier command was stopped, or tells again what was found.

    Args:
        space: What is searched.
        recipe: What all trials share.
        base: The configuration without any parameter of the space.
        prepared: The data.
        wish: How many trials, by how many processes.

    Raises:
        UserError: The space does not fit the configuration, or there is another search of this name.
        RunError: No trial is complete, or another process makes the same search.
        Interrupted: A signal ended it; the same call goes on.
    """
    check_fit(base.job, prepared)
    identity = identity_of(space, base, check_space(space, recipe, base), prepared.meta.digest)
    name = wish.study or f"{space.name}-{base.job.data.name}-{data_digest(identity)[:8]}"
    ledger = Ledger.open(_database(base), name, space)
    ledger.claim(identity)
    work = WorkFolder.of(f"tune-{name}")
    work.take()
    try:
        _rest(ledger)
        params = {"tune": {"space": space.name, **identity["search"], "parameters": identity["parameters"]}}
        with tracking.stage("tune", record=work.record, run_name=name, params=params) as run:
            run.set_tags({"data_digest": prepared.meta.digest, "config_digest": data_digest(identity)})
            tracking.log_data(run, prepared)
            plan = _plan(name, ledger, recipe, base, prepared, wish, work.path)
            plan = replace(plan, parent=run.run_id)
            return _searched(plan, ledger, work, run, wish.workers)
    finally:
        let_go(remove=False)


def _database(base: Composed) -> Path:
    """Beside the tracking database; where runs go to a server, at the project's root."""
    file = sqlite_file(resolve(base.config["tracking"].get("uri")))
    return (file.parent if file is not None else shared_root()) / DATABASE


def _rest(ledger: Ledger) -> None:
    """Waits for workers whose command was killed, and closes their trials.

    Of a process in a container that is gone nothing tells that it ended, but that its work folder is free.
    """
    deadline = time.monotonic() + _REST_SECONDS
    while any(row.state == "running" for row in ledger.rows()) and time.monotonic() < deadline:
        time.sleep(0.5)
    ledger.give_back(gone=[row.number for row in ledger.rows() if row.state == "running" and _is_left(row)])


def _is_left(row: Row) -> bool:
    """Whether a trial was begun in this project and nobody trains it any more."""
    work = WorkFolder.of(row.run_name) if row.run_name else None
    return work is not None and work.path.is_dir() and not work.is_under_way


def _plan(
    name: str, ledger: Ledger, recipe: Recipe, base: Composed, prepared: PreparedData, wish: Wish, folder: Path
) -> Plan:
    conf = folder / "conf"
    with atomic_directory(conf) as temporary:
        shutil.copytree(recipe.conf, temporary, dirs_exist_ok=True)
    space, minutes = ledger.space, ledger.space.config.timeout_minutes
    return Plan(
        study=name,
        database=str(ledger.file),
        space=space.name,
        content=space.config.model_dump(mode="json"),
        conf=str(conf),
        env=recipe.env,
        loader=recipe.loader,
        overrides=recipe.overrides,
        address=prepared.address,
        parent=None,
        trials=space.trials(wish.trials),
        before=tuple(row.number for row in ledger.rows() if row.counts),
        deadline=None if minutes is None else time.time() + 60 * minutes,
        max_epochs=base.job.trainer.max_epochs,
    )


def _searched(plan: Plan, ledger: Ledger, work: WorkFolder, run: tracking.Run, workers: int) -> Study:
    there = sum(row.counts for row in ledger.rows())
    done = f", {there} of them are there" if there else ""
    log.info("tune: %s, %d trials%s", plan.study, plan.trials, done)
    try:
        search(plan, ledger, work.path, workers)
    finally:
        ledger.give_back()
    rows, config = ledger.rows(), ledger.space.config
    folder = project_root() / FOLDER / plan.study
    results.write(ledger, rows, folder)
    results.record(run, rows, config.metric, config.direction, folder)
    best = best_of(rows, config.direction)
    if best is None:
        why = "; ".join(reasons(rows)) or "all were ended early"
        raise RunError(f"no trial of '{plan.study}' is complete ({counted(rows)}): {why}")
    value = shown(config.metric, best.value or 0.0)
    log.info("tune: %s; best is trial %d, %s %s", counted(rows), best.number, config.metric, value)
    for reason in reasons(rows):
        log.warning("tune: failed: %s", reason)
    return Study(plan.study, folder, rows, best)


def facts_of(base: Composed, overrides: Sequence[str], command: str) -> tracking.RunFacts:
    """What is known of the search's own run.

    Args:
        base: The configuration without any parameter of the space.
        overrides: Of the command line.
        command: As typed.
    """
    return tracking.RunFacts(base.config, base.choices, tuple(overrides), command)
