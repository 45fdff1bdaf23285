"""The MLflow run of a version of the data: made once, whichever training comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from fovea.core.digest import data_digest
from fovea.core.places import PREPARED, shared_root
from fovea.tracking.facts import origin_tags, process_tags
from fovea.tracking.guide import DATA_SUFFIX
from fovea.tracking.run import Run
from fovea.tracking.session import Session, current, ended

_REPORT = "data_report.*"
_SHOWN = 12  # characters of the digest


class _Meta(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def digest(self) -> str: ...
    @property
    def source_digest(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def quality(self) -> Mapping[str, Any]: ...


class Prepared(Protocol):
    """What is asked of prepared data: the folder, and what it says of itself."""

    @property
    def path(self) -> Path:
        """The folder; the report lies in it."""

    @property
    def meta(self) -> _Meta:
        """Name, digests, counts, settings, and the summary of the manifest."""


def log_data(run: Run, prepared: Prepared) -> None:
    """Logs what a training is made of: the data as the run's input, and their own run, if it is not there yet.

    The data's own run is in the experiment `<tracking.experiment>-data`. Its key follows from the digest of the data,
    so that all trainings, now or from a journal later, mean the same run. The tag `data_run` of the training names it.

    Args:
        run: The training's run.
        prepared: What it trains on.

    Raises:
        RunError: MLflow is out of reach and `tracking.on_error` is `stop`.
    """
    meta = prepared.meta
    facts = {"counts": dict(meta.counts), "source_digest": meta.source_digest, "quality": dict(meta.quality)}
    run.log_dataset(meta.name, meta.digest, "training", facts)
    session = current()
    if session is not None:
        run.set_tags({"data_run": _ensure(session, prepared, facts)})


def _ensure(session: Session, prepared: Prepared, facts: Mapping[str, Any]) -> str:
    """The id of the data's run, or its key while MLflow is out of reach."""
    from fovea.core.locks import waiting
    from fovea.tracking.outlet import Outlet

    meta = prepared.meta
    key = data_digest({"data": meta.digest})[:32]
    name = f"{meta.name}-{meta.digest[:_SHOWN]}"
    run = Run(name, key, Outlet(session.uri, f"{session.experiment}{DATA_SUFFIX}", session.on_error))
    tags = process_tags()
    with ended(run):
        # Between looking for the run and making it no other process may make it.
        with waiting(shared_root() / PREPARED / f".{name}.run.lock", f"logging the data {name}"):
            run.open({"new": False, "once": True, "tags": {**origin_tags(session.facts), **tags}, "again": tags})
        run.set_tags({"data_digest": meta.digest, "source_digest": meta.source_digest})
        run.log_params({**meta.settings, "classes": len(meta.classes)})
        run.log_metrics(dict(_metrics(meta)))
        run.log_dataset(meta.name, meta.digest, "prepared", facts)
        for path in sorted(prepared.path.glob(_REPORT)):
            run.log_artifact(path)
    return run.run_id or key


def _metrics(meta: _Meta) -> Iterator[tuple[str, float]]:
    """Pictures of each split, and every number of the summary that does not belong to a single class."""
    yield from ((f"split/{split}", count) for split, count in meta.counts.items())
    for name, value in meta.quality.items():
        if isinstance(value, Mapping):
            if not set(value) <= set(meta.classes):
                yield from ((f"{name}/{part}", count) for part, count in value.items() if _is_number(count))
        elif _is_number(value):
            yield name, value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
