"""The way back from a run's name or id to the model that it holds."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.errors import RunError, UserError, nearest
from fovea.core.files import atomic_directory
from fovea.tracking.reach import OutOfReachError, RefusedError, translated
from fovea.tracking.session import current
from fovea.tracking.store import Store, open_store
from fovea.tracking.uri import redacted, resolve, sqlite_file

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

log = logging.getLogger("fovea.tracking")

MODEL = "model"
"""The folder of a run's artifacts that holds its trained model."""

LATEST = "latest"
"""Means the newest run that finished and holds a model."""

_ID = re.compile(r"[0-9a-f]{32}")
_BEGINNING = re.compile(r"[0-9a-f]{6,31}")
_NAME = re.compile(r"[\w.\-]+")
_MOST = 1000  # runs that are looked at for a name like the wanted one


class NotReachedError(RunError):
    """MLflow is out of reach, so that nothing could be found or fetched."""


@dataclass(frozen=True)
class FetchedModel:
    """A run's or a registry's model on this machine.

    Attributes:
        path: The folder.
        run_id: The run's id; empty: the registry knows none.
        name: The run's name, or the name and version in the registry.
    """

    path: Path
    run_id: str
    name: str


@dataclass(frozen=True)
class FoundRun:
    """A run of a store that answers.

    Attributes:
        run: As MLflow gives it.
        store: Where it is.
    """

    run: MlflowRun
    store: Store

    @property
    def run_id(self) -> str:
        """Its id."""
        return str(self.run.info.run_id)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.run.info.run_name)

    def artifact(self, name: str, folder: Path) -> Path | None:
        """Brings an artifact, a file or a folder with all that is in it, into a folder of this machine.

        Args:
            name: Its path among the artifacts of the run.
            folder: Exists; gets a folder for the run.

        Returns:
            Where it is now; None: the run has no such artifact.

        Raises:
            RunError: MLflow is out of reach.
        """
        above, _, _ = name.rpartition("/")
        with in_reach(self.store.uri, f"the run '{self.name}'"):
            if name not in {one.path for one in self.store.client.list_artifacts(self.run_id, above or None)}:
                return None
            place = folder / self.run_id
            place.mkdir(exist_ok=True)
            return Path(self.store.client.download_artifacts(self.run_id, name, str(place)))


def find_store(wanted: str) -> Store:
    """Opens the session's store; makes no database where there is none.

    Args:
        wanted: What is looked for in it, as in ``"run 'latest'"``.

    Raises:
        UserError: There is no database yet.
        RunError: MLflow is out of reach.
    """
    session = current()
    uri = session.uri if session is not None else resolve(None)
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        raise UserError(f"there is no {wanted}: there is no MLflow database at {file} yet; train a model first")
    with in_reach(uri, f"the {wanted}"):
        return open_store(uri, session.experiment if session is not None else "fovea")


def find_run(named: str) -> FoundRun:
    """Finds a run of the session's experiment; makes no database where there is none.

    Of several runs of one name it is the newest that FINISHED, and the log says so.

    Args:
        named: The run's name or id, or `latest`: the newest that FINISHED and holds a model.

    Raises:
        UserError: There is no such run, or it was deleted.
        RunError: MLflow is out of reach.
    """
    store = find_store(f"run '{named}'")
    with in_reach(store.uri, f"the run '{named}'"):
        found = _candidates(store, named)
        known = [] if found else _names(store)
    if not found:
        raise UserError(f"there is no run '{named}' in the experiment '{store.experiment}'{nearest(named, known)}")
    run = next((one for one in found if one.info.status == "FINISHED"), found[0])
    if run.info.lifecycle_stage != "active":
        raise UserError(f"the run {named} was deleted; bring it back with `mlflow runs restore --run-id {named}`")
    if len(found) > 1 and named != LATEST:
        log.info("%d runs are called '%s'; the newest that finished is taken, %s", len(found), named, run.info.run_id)
    return FoundRun(run, store)


def fetch_model(named: str, cache: Path) -> FetchedModel:
    """Finds a run as `find_run` does and brings its model, once, into a folder of this machine.

    Args:
        named: The run's name or id, or `latest`.
        cache: Keeps what was fetched, a folder a run.

    Raises:
        UserError: There is no such run, or it holds no model.
        RunError: MLflow is out of reach, or the disk is full or not writable.
    """
    found = find_run(named)
    uri, run_id = found.store.uri, found.run_id
    folder = cache / run_id
    if not folder.is_dir():
        with in_reach(uri, f"the run '{named}'"):
            has_model = bool(found.store.client.list_artifacts(run_id, MODEL))
        if not has_model:
            raise UserError(
                f"the run '{found.name}' ({run_id}, {found.run.info.status}) holds no trained model, its artifact "
                f"'{MODEL}' is not there or was deleted; name another one"
            )
        with atomic_directory(folder) as temporary, in_reach(uri, f"the run '{named}'"):
            found.store.client.download_artifacts(run_id, MODEL, str(temporary))
    return FetchedModel(folder / MODEL, run_id, found.name)


@contextmanager
def in_reach(uri: str, what: str) -> Iterator[None]:
    """Tells what cannot be fetched where MLflow is out of reach; for calls of MLflow alone, whose errors it takes.

    Args:
        uri: Of the store.
        what: What is fetched, as in ``the run 'latest'``.

    Raises:
        NotReachedError: MLflow, or what is below it, has raised something.
    """
    try:
        with translated():
            yield
    except (OutOfReachError, RefusedError) as error:
        raise NotReachedError(
            f"{what} cannot be fetched: MLflow at {redacted(uri)} is out of reach ({error}); mend that, or "
            "where a model is asked for name its folder instead"
        ) from error


def _candidates(store: Store, named: str) -> list[MlflowRun]:
    """The run of that id, else the runs of that name or whose ids begin so, newest first."""
    from mlflow.exceptions import MlflowException

    if _ID.fullmatch(named):
        try:
            return [store.client.get_run(named)]
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    if not _NAME.fullmatch(named):
        return []
    wanted = [f"attributes.run_name = '{named}'"]
    if named == LATEST:
        wanted.append("attributes.status = 'FINISHED' AND tags.`stage.train` = 'done'")
    elif _BEGINNING.fullmatch(named):
        wanted.append(f"attributes.run_id LIKE '{named}%'")
    return next(filter(None, (_newest(store, one) for one in wanted)), [])


def _newest(store: Store, wanted: str) -> list[MlflowRun]:
    order = ["attributes.start_time DESC"]
    return list(store.client.search_runs([store.experiment_id], wanted, max_results=_MOST, order_by=order))


def _names(store: Store) -> list[str]:
    """Names of the newest runs that hold a model, for whoever wrote one wrongly."""
    runs = store.client.search_runs([store.experiment_id], "tags.`stage.train` = 'done'", max_results=_MOST)
    return [str(run.info.run_name) for run in runs]
