"""Which MLflow store: the config first, then `MLFLOW_TRACKING_URI`, then a database at the project's root."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fovea.core.errors import UserError
from fovea.core.places import shared_root

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"

_SQLITE = "sqlite:///"
_SERVERS = ("http", "https", "databricks")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def resolve(configured: str | None) -> str:
    """The store's URI, absolute.

    Args:
        configured: `tracking.uri` of the config; None or empty leaves the choice to the environment and the default.

    Raises:
        UserError: MLflow cannot use such a store, or would lose the runs in it.
    """
    named = configured or os.environ.get("MLFLOW_TRACKING_URI")
    if not named:
        return of_file(shared_root() / DATABASE)
    scheme = named.partition("://")[0].partition("+")[0].lower() if "://" in named else named
    key = "tracking.uri" if configured else "MLFLOW_TRACKING_URI"
    way_out = "set a server (http://host:5000), a database (sqlite:///mlflow.db), or nothing for the project's own"
    if scheme == "sqlite":
        file = named.removeprefix(_SQLITE) if named.startswith(_SQLITE) else ""
        if file in ("", ":memory:"):
            raise UserError(f"{key}='{named}' is a database in memory, which ends with the process; {way_out}")
        return named if file.startswith(("file:", "/")) else f"{of_file(shared_root())}/{file}"
    if scheme in _SERVERS or scheme in _DATABASES:
        return named.rstrip("/")
    raise UserError(
        f"{key}='{redacted(named)}' is not a store that MLflow still takes (folders of runs are none); {way_out}"
    )


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store, or None for every other store."""
    file = uri.removeprefix(_SQLITE).partition("?")[0]
    return Path(unquote(file)) if uri.startswith(_SQLITE) and not file.startswith("file:") else None


def of_file(file: Path) -> str:
    """The URI of an SQLite file. SQLAlchemy unquotes it, so that a percent sign in the path must be quoted."""
    return f"{_SQLITE}{str(file).replace('%', '%25').replace('?', '%3F')}"


def redacted(uri: str) -> str:
    """The URI without user name and password, fit to be shown and written."""
    scheme, mark, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def portable(uri: str) -> str:
    """The URI as a record keeps it: no password, and a database of this project relative to its root."""
    file, root = sqlite_file(uri), shared_root()
    if file is not None and file.is_relative_to(root):
        return of_file(file.relative_to(root))
    return redacted(uri)


def artifact_root(uri: str) -> Path | None:
    """Where the artifacts of a new experiment go: beside the database; None leaves it to a server."""
    if urlsplit(uri).scheme in _SERVERS or uri in _SERVERS:
        return None
    file = sqlite_file(uri)
    return (file.parent if file is not None else shared_root()) / ARTIFACTS
