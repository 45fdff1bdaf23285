"""An MLflow store at hand, with its database and experiment made."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.locks import exclusive, forget_dead
from fovea.core.places import shared_root
from fovea.tracking import database
from fovea.tracking import uri as uris
from fovea.tracking.reach import OutOfReachError, be_brief, probe, translated

if TYPE_CHECKING:
    from mlflow import MlflowClient

_WAIT = 60.0


@dataclass(frozen=True)
class Store:
    """A store that answers.

    Attributes:
        uri: Its absolute URI.
        experiment: The experiment's name.
        experiment_id: The experiment's id in this store.
        client: The client bound to it.
    """

    uri: str
    experiment: str
    experiment_id: str
    client: MlflowClient


def open_store(uri: str, experiment: str) -> Store:
    """Opens a store; makes its SQLite database and the experiment when they do not exist, once among all processes.

    Args:
        uri: An absolute URI, as `uri.resolve` gives.
        experiment: The experiment's name.

    Raises:
        OutOfReachError: The store does not answer or may not be written.
    """
    be_brief()
    with translated():
        from mlflow import MlflowClient

        file = uris.sqlite_file(uri)
        if file is not None:
            probe(file)
            if not database.is_ready(file):
                _create(file)
            else:
                forget_dead(_lock(file))
                if file == shared_root() / uris.DATABASE:
                    database.relocate(file, file.parent / uris.ARTIFACTS)
        client = MlflowClient(uri, registry_uri=uri)
        return Store(uri, experiment, _experiment_id(client, uri, experiment), client)


def _create(file: Path) -> None:
    """Makes the database, unless another process has done so while this one waited."""
    with exclusive(_lock(file), "creating the MLflow database", "run the same command again", wait=_WAIT):
        if database.is_ready(file):
            return
        database.create(file)
        # MLflow's own "Default" experiment comes with the first opening, with the artifact folder named here.
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(uris.of_file(file), (file.parent / uris.ARTIFACTS).as_uri())  # type: ignore[no-untyped-call]
        logging.getLogger("fovea.tracking").info("made the MLflow database %s", file)


def _lock(file: Path) -> Path:
    return file.with_name(f"{file.name}.lock")


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        file = uris.sqlite_file(uri)
        if file is None:
            return _create_experiment(client, uri, name)
        with exclusive(_lock(file), "creating the MLflow experiment", "run the same command again", wait=_WAIT):
            return _create_experiment(client, uri, name)
    if found.lifecycle_stage != "active":
        raise OutOfReachError(
            f"the experiment '{name}' was deleted; run `mlflow experiments restore -x {found.experiment_id}` "
            "or choose another name with tracking.experiment"
        )
    return str(found.experiment_id)


def _create_experiment(client: MlflowClient, uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    from fovea.tracking.guide import experiment_tags

    root = uris.artifact_root(uri)
    found = client.get_experiment_by_name(name)
    try:
        if found is None:
            location = root.as_uri() if root is not None else None
            return str(client.create_experiment(name, artifact_location=location, tags=experiment_tags(name)))
    except MlflowException:
        # A process on another machine was first.
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
    return str(found.experiment_id)
