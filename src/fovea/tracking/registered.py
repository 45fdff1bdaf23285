"""The way from a name in MLflow's registry to the model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fovea.core.digest import data_digest
from fovea.core.errors import UserError, nearest
from fovea.core.files import atomic_directory
from fovea.tracking.finding import FetchedModel, find_store, in_reach
from fovea.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_FORM = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow says the second of an alias
_GONE = ("RESOURCE_DOES_NOT_EXIST", "INTERNAL_ERROR")  # of artifacts, by the kind of their store
_LOGGED = "models:/"
_SHOWN = 12


def fetch_registered(uri: str, cache: Path) -> FetchedModel:
    """Brings a registered model, each version once, into a folder of this machine; makes no database.

    Args:
        uri: ``models:/NAME@alias`` or ``models:/NAME/version``.
        cache: Keeps what was fetched, a folder a version.

    Raises:
        UserError: It is no such URI, or there is no such model, alias or version, or its files were deleted.
        RunError: MLflow is out of reach, or the disk is full or not writable.
    """
    found = _FORM.fullmatch(uri)
    if found is None:
        raise UserError(f"'{uri}' is no registered model; write models:/NAME@alias or models:/NAME/version")
    what = f"the model '{uri}'"
    store = find_store(f"model '{uri}'")
    with in_reach(store.uri, what):
        version, models = _version(store.client, **found.groupdict())
    if version is None:
        raise _unknown(uri, models, **found.groupdict())
    folder = cache / "registered" / quote(version.name, safe="") / _place(version)
    if not folder.is_dir():
        with atomic_directory(folder) as temporary:
            with in_reach(store.uri, what):
                is_there = _download(store, version, temporary)
            if not is_there:
                raise UserError(f"the files of {what} were deleted from MLflow's artifacts; name another version")
    return FetchedModel(_top(folder), version.run_id or "", f"{version.name} version {version.version}")


def _version(
    client: MlflowClient, name: str, alias: str | None, version: str | None
) -> tuple[ModelVersion | None, dict[str, list[str]]]:
    """The version; None where there is none, with the names and aliases that there are."""
    from mlflow.exceptions import MlflowException

    try:
        if alias is not None:
            return client.get_model_version_by_alias(name, alias), {}
        return client.get_model_version(name, str(version)), {}
    except MlflowException as error:
        if error.error_code not in _UNKNOWN:
            raise
    return None, {str(model.name): list(model.aliases) for model in client.search_registered_models()}


def _place(version: ModelVersion) -> str:
    """The folder of a version, and of no other of its name and number: one of another store, or one made anew."""
    # Not by the source, which is another one in a project that was moved.
    return f"{version.version}-{data_digest([version.run_id, version.creation_timestamp])[:_SHOWN]}"


def _unknown(uri: str, models: dict[str, list[str]], name: str, alias: str | None, version: str | None) -> UserError:
    if name not in models:
        way_out = nearest(name, models) or "; none is registered yet"
        return UserError(f"there is no registered model '{name}', as '{uri}' says{way_out}")
    if alias is not None:
        way_out = nearest(alias, models[name]) or "; it has none"
        return UserError(f"the registered model '{name}' has no alias '{alias}'{way_out}")
    return UserError(f"the registered model '{name}' has no version {version}; look at its versions in the MLflow UI")


def _download(store: Store, version: ModelVersion, folder: Path) -> bool:
    """Brings the files of a version; whether there are any."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    # Not by `models:/NAME/VERSION`, which MLflow 3.17 looks up in the default registry, whatever it is told.
    place = store.client.get_model_version_download_uri(version.name, version.version)
    if place.startswith(_LOGGED):
        place = store.client.get_logged_model(place.removeprefix(_LOGGED)).artifact_location
    try:
        mlflow.artifacts.download_artifacts(place, dst_path=str(folder), tracking_uri=store.uri)
    except FileNotFoundError:
        return False
    except MlflowException as error:
        if error.error_code not in _GONE:
            raise
        return False
    return any(folder.iterdir())


def _top(folder: Path) -> Path:
    """Where the files are: in the folder, or, by the kind of MLflow's store, in the one folder that is in it."""
    within = list(folder.iterdir())
    return within[0] if len(within) == 1 and within[0].is_dir() else folder
