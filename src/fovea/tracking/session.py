"""A stage's part of a run: opened, resumed and ended truthfully, one run for all stages of a model."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from fovea.core.errors import FoveaError, interruption
from fovea.tracking.facts import RunFacts, environment, origin_tags, process_tags
from fovea.tracking.params import cut
from fovea.tracking.record import RunRecord, claim_key, read_record
from fovea.tracking.run import NullRun, Run
from fovea.tracking.uri import portable, redacted, resolve

log = logging.getLogger("fovea.tracking")

Status = Literal["FINISHED", "FAILED", "KILLED"]

_STATES: dict[Status, str] = {"FINISHED": "done", "FAILED": "failed", "KILLED": "interrupted"}


@dataclass(frozen=True)
class Summary:
    """Where the records of a run went.

    Attributes:
        name: The run's name.
        run_id: Its id in MLflow, or None when MLflow was never in reach.
        journal: The file that keeps the records, or None when all are in MLflow.
    """

    name: str
    run_id: str | None
    journal: Path | None


@dataclass
class Session:
    """Where this process keeps its runs, and the runs that it has open.

    Attributes:
        uri: The store's absolute URI.
        experiment: The experiment's name.
        on_error: `continue` or `stop`, when the store is out of reach.
        facts: What the caller knows of the runs.
        pid: The process that this is of.
        held: Whether runs stay open after their stage.
        live: Runs that are open, by their key.
        seen: All runs, by their key.
    """

    uri: str
    experiment: str
    on_error: Literal["continue", "stop"]
    facts: RunFacts
    pid: int = field(default_factory=os.getpid)
    held: bool = False
    live: dict[str, Run] = field(default_factory=dict)
    seen: dict[str, Run] = field(default_factory=dict)


_session: Session | None = None


def configure(settings: Mapping[str, Any], facts: RunFacts | None = None) -> None:
    """Says, for this process, where runs are kept and where they come from. Imports no MLflow.

    A run that an earlier, interrupted session left open is ended as KILLED.

    Args:
        settings: The section `tracking` of the config: `experiment`, `uri`, `on_error`.
        facts: What the caller knows of the runs to come.

    Raises:
        UserError: The store's URI is none that MLflow can use.
    """
    global _session  # noqa: PLW0603
    uri = resolve(settings.get("uri"))
    close("KILLED")
    _session = Session(
        uri=uri,
        experiment=str(settings.get("experiment", "fovea")),
        on_error=cast(Literal["continue", "stop"], settings.get("on_error", "continue")),
        facts=facts or RunFacts(),
    )


def exported() -> dict[str, Any] | None:
    """This process's settings as plain data, without passwords, for a process that goes on elsewhere."""
    session = current()
    if session is None:
        return None
    settings = {"uri": portable(session.uri), "experiment": session.experiment, "on_error": session.on_error}
    return {"settings": settings, "facts": session.facts.plain()}


def configure_exported(content: Mapping[str, Any]) -> None:
    """Takes up what `exported` gave; a password comes with the environment's URI.

    Raises:
        UserError: The store's URI is none that MLflow can use.
    """
    settings = dict(content["settings"])
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    if named and redacted(named) == settings["uri"]:
        settings["uri"] = named
    configure(settings, RunFacts(**content["facts"]))


def hold_open() -> None:
    """Lets runs stay open at the end of a stage that went well, until `close`."""
    if _session is not None:
        _session.held = True


def close(status: Status, error: BaseException | None = None) -> list[Summary]:
    """Ends the runs that `hold_open` kept open.

    Args:
        status: How they end.
        error: Why, when they did not end well.

    Returns:
        Where the records of every run of this session went.
    """
    session = current()
    if session is None:
        return []
    session.held = False
    while session.live:
        _, run = session.live.popitem()
        _quietly_end(run, status, error, {})
    return [Summary(run.name, run.run_id, run.journal) for run in session.seen.values()]


def finish(record: Path) -> None:
    """Ends FINISHED, before `close` does, the run that a record names: of one model among several of a session.

    Args:
        record: The file that the stages of the run were given. A run that is not open stays as it is.

    Raises:
        RunError: MLflow is out of reach and `tracking.on_error` is `stop`.
    """
    session, known = current(), read_record(record)
    if session is not None and known is not None and known.run_key in session.live:
        session.live.pop(known.run_key).end("FINISHED")


@contextmanager
def stage(
    name: str,
    record: Path,
    run_name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> Iterator[Run]:
    """The run of a model, for one stage's block.

    The block that ends well ends the run FINISHED (unless `hold_open` keeps it for the stages to come), an exception
    ends it FAILED, an interruption KILLED. On ranks other than 0, and without `configure`, nothing is logged.

    Args:
        name: The stage; the tag `stage.<name>` says how it went.
        record: The file that names the run. If it exists the run goes on; if not, a new run is opened and the file
            written before anything is logged. It is never changed afterwards.
        run_name: The name of a new run.
        params: Parameters to log beside the composed config.
        tags: Tags to set.

    Raises:
        RunError: MLflow is out of reach and `tracking.on_error` is `stop`.
    """
    session = current()
    if session is None:
        yield NullRun(run_name or "")
        return
    known = read_record(record)
    key, is_unheard = (known.run_key, False) if known is not None else claim_key(record)
    run = _run(session, key, (known.name if known is not None else "") or run_name or "run")
    state = f"stage.{name}"
    try:
        is_new = _begin(session, run, state, known, record, is_unheard=is_unheard)
        if is_new or params is not None:
            run.log_params({**session.facts.logged_config, **(params or {})})
        if tags:
            run.set_tags(tags)
        yield run
        run.flush()
    except BaseException as error:
        session.live.pop(run.key, None)
        status: Status = "KILLED" if _is_interruption(error) else "FAILED"
        _quietly_end(run, status, error, {state: _STATES[status]})
        raise
    run.set_tags({state: "done"})
    if not session.held:
        session.live.pop(run.key, None)
        run.end("FINISHED")


def _run(session: Session, key: str, name: str) -> Run:
    """The run with a key; nothing is sent yet."""
    from fovea.tracking.outlet import Outlet

    _close_at_exit()
    if key not in session.live:
        run = Run(name, key, Outlet(session.uri, session.experiment, session.on_error))
        session.live[key] = session.seen[key] = run
    return session.live[key]


def _begin(session: Session, run: Run, state: str, known: RunRecord | None, record: Path, *, is_unheard: bool) -> bool:
    """Opens a run, or goes on with one; whether it is new. MLflow has not heard of one whose key is."""
    if run.is_open:
        run.set_tags({state: "running"})
        return False
    now = process_tags() | {state: "running"}
    run_id = known.run_id if known is not None else None
    run.open({"run_id": run_id, "new": is_unheard, "tags": {**origin_tags(session.facts), **now}, "again": now})
    if known is None:
        RunRecord(run.key, run.run_id, run.name, session.experiment, portable(session.uri)).write(record)
        run.log_text(environment(), "config/environment.txt")
    return known is None


def _quietly_end(run: Run, status: Status, error: BaseException | None, tags: dict[str, str]) -> None:
    """Ends a run without hiding the error that ended it."""
    if not run.is_open:
        return
    try:
        run.set_tags({**tags, **({"error": _line(error)} if status == "FAILED" and error is not None else {})})
        run.end(status)
    except Exception as trouble:
        log.warning("the end of run %s could not be logged: %s", run.name, trouble)


def _line(error: BaseException) -> str:
    """An error as one line; of one of ours that Kedro wrapped, our own words."""
    ours: BaseException | None = error
    while ours is not None and not isinstance(ours, FoveaError):
        ours = ours.__cause__
    text = " ".join(str(ours or error).split())
    return cut(text if ours is not None else f"{type(error).__name__}: {text}")


def _is_interruption(error: BaseException) -> bool:
    """Whether a signal or the user ended it, also where a library wrapped that in an exception of its own."""
    return not isinstance(error, Exception) or interruption(error) is not None


@cache
def _close_at_exit() -> None:
    """An interruption between two stages ends the process without a word to the hooks."""
    atexit.register(close, "KILLED")


def current() -> Session | None:
    """The session of this process, None on ranks other than 0; one inherited by a fork is its parent's to end."""
    return _session if _session is not None and _session.pid == os.getpid() and _rank() == 0 else None


@contextmanager
def ended(run: Run) -> Iterator[None]:
    """Ends a run of its own as the block ends: FINISHED, FAILED or KILLED."""
    try:
        yield
    except BaseException as error:
        _quietly_end(run, "KILLED" if _is_interruption(error) else "FAILED", error, {})
        raise
    run.end("FINISHED")


def _rank() -> int:
    """The global rank of a process that torchrun or SLURM started."""
    text = os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0"
    return int(text) if text.isdigit() else 0
