"""MLflow's many ways of failing, sorted into two: out of reach, or refused."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fovea.core.errors import interruption
from fovea.tracking.uri import without_secrets

_SECONDS = 10
_PATIENCE = 3.0

_WORDS = (
    ("connection refused", "nothing answers there"),
    ("name or service not known", "the host is unknown"),
    ("failed to resolve", "the host is unknown"),
    ("timed out", f"no answer within {_SECONDS} s"),
    ("timeout", f"no answer within {_SECONDS} s"),
    ("database is locked", "another program keeps the database locked"),
    ("readonly database", "the database may not be written by this user"),
    ("unable to open database", "the database cannot be opened"),
    ("not a database", "the file is not a database"),
    ("malformed", "the database is damaged"),
    ("disk is full", "the disk is full"),
    ("out-of-date database schema", "the database is of an older MLflow; copy it, then run `mlflow db upgrade` on it"),
    ("error code 401", "it wants MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
    ("error code 403", "it does not let this user write"),
)
_REFUSALS = ("INVALID_PARAMETER_VALUE",)


class OutOfReachError(Exception):
    """The store cannot be used at present; what was to be sent can be sent later."""


class RefusedError(Exception):
    """The store works, but will never take this record."""


def _reason(error: BaseException) -> str:
    text = str(error)
    known = next((words for sign, words in _WORDS if sign in text.lower()), None)
    # MLflow quotes the address with all that is in it.
    return known or without_secrets((text.strip().splitlines() or [type(error).__name__])[0])[:200]


@contextmanager
def translated() -> Iterator[None]:
    """Turns whatever MLflow, its database or its server raises into one of the two errors of this module."""
    from mlflow.exceptions import MlflowException

    earlier = interruption(sys.exception())  # the end of an interrupted run is logged while that is being handled
    try:
        yield
    except (OutOfReachError, RefusedError):
        raise
    except Exception as error:
        # A signal in the middle of a query comes out as the error of a connection that was closed.
        stop = interruption(error)
        if stop is not None and stop is not earlier:
            raise stop from None
        is_refusal = isinstance(error, MlflowException) and error.error_code in _REFUSALS
        raise (RefusedError if is_refusal else OutOfReachError)(_reason(error)) from error


def probe(file: Path) -> None:
    """Asks for the right to write to an SQLite file and gives it back; writes nothing.

    MLflow itself waits 20 s for a lock and then prints a traceback; this waits 3 s.

    Raises:
        OutOfReachError: The database cannot be written now.
    """
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise OutOfReachError(_reason(error)) from error


def be_brief() -> None:
    """Makes an unreachable server cost seconds instead of MLflow's minutes, and keeps MLflow off the screen."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(_SECONDS))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Would draw over the progress of the training.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Prints the traceback of an error that our one sentence tells.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    retries = logging.getLogger("urllib3.connectionpool")
    if _no_retries not in retries.filters:
        retries.addFilter(_no_retries)


def _no_retries(record: logging.LogRecord) -> bool:
    """Whether a record is something else than the retry of a request to MLflow, which our one sentence tells."""
    return "/api/2.0/mlflow" not in record.getMessage()
