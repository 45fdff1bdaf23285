"""Which MLflow store: the config first, then `MLFLOW_TRACKING_URI`, then a database at the project's root."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fovea.core.errors import UserError
from fovea.core.places import shared_root

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"

_SQLITE = "sqlite:///"
_SERVERS = ("http", "https", "databricks")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

_SCHEME = r"[\w+.\-]{1,30}://"
_ADDRESS = re.compile(rf"{_SCHEME}(?:(?!{_SCHEME}|['\"](?:\s|$))\S)*")  # to the next one, or the end of a quoted word
_PLAIN_HOST = re.compile(r"(?:\[[^\]@]*\]|[^:/?#@]*)(?::\d*)?(?:[/?#]|$)")
_USER = re.compile(r"[^:/@]*(?::[^@]*)?@")  # what SQLAlchemy takes for user and password, with any sign but @
_QUERY = re.compile(r"\?[\w.\-]+=")
_HARMLESS = re.compile(
    r"host|port|unix_socket|service|options|application_name|target_session_attrs|driver|charset|client_encoding|collation"
    r"|(connect_|read_|write_)?timeout|mode|cache|uri|immutable|encrypt|trustservercertificate|trusted_connection"
    r"|ssl_?mode|sslrootcert|ssl_ca|ssl_check_hostname|ssl_verify_(cert|identity)",
    re.IGNORECASE,
)
"""The keys of a query that are shown and kept: what a driver may take for a secret has too many names."""


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
            raise UserError(
                f"{key}='{redacted(named)}' is a database in memory, which ends with the process; {way_out}"
            )
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
    """The URI fit to be shown and written: without user and password, and of the query only what is known as harmless.

    User and password end with the last @ before the path's end or the query, as the password may hold any sign.
    """
    scheme, mark, rest = uri.partition("://") if "://" in uri else ("", "", uri)
    if _may_hold_user(scheme, rest):
        user = _USER.match(rest)
        start = user.end() if user is not None else 0
        query = _QUERY.search(rest, start)
        rest = rest[rest.rfind("@", 0, query.start() if query is not None else len(rest)) + 1 :]
    place, _, query_text = rest.partition("?")
    kept = "&".join(pair for pair in query_text.split("&") if _HARMLESS.fullmatch(pair.partition("=")[0]))
    return f"{scheme}{mark}{place}{'?' if kept else ''}{kept}"


def _may_hold_user(scheme: str, rest: str) -> bool:
    """Whether an @ may end a user: not in a path, of files or of a server's."""
    kind = scheme.partition("+")[0].lower()
    if kind in ("", "sqlite", "file") and rest.startswith("/"):
        return False
    return kind in _DATABASES or _PLAIN_HOST.match(rest) is None


def without_secrets(text: str) -> str:
    """A text with the addresses in it `redacted`."""
    return _ADDRESS.sub(lambda found: redacted(found[0]), text)


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
