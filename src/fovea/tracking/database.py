"""The project's own SQLite database: made whole in one step, once."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from fovea.core.files import atomic_file

log = logging.getLogger("fovea.tracking")


def is_ready(file: Path) -> bool:
    """Whether the file holds tables; a missing or empty file does not."""
    return file.is_file() and file.stat().st_size > 0


def create(file: Path) -> None:
    """Writes an MLflow database with the newest schema.

    MLflow's migrations run on a database in memory (0.7 s instead of up to 5 s on a disk), which is then copied to its
    place by a rename: nobody ever sees half a schema, and a process killed on the way leaves nothing behind.

    Raises:
        RunError: The folder cannot be written.
    """
    from mlflow.store.db import utils
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        utils._initialize_tables(engine)  # type: ignore[no-untyped-call]
        with atomic_file(file) as temporary, closing(sqlite3.connect(temporary)) as target:
            pooled = engine.raw_connection()
            cast(sqlite3.Connection, pooled.driver_connection).backup(target)
            pooled.close()
    finally:
        engine.dispose()


def relocate(file: Path, artifacts: Path) -> None:
    """Lets the artifacts of a project that was moved or copied be found, and new ones be kept, in its new place.

    MLflow keeps absolute paths. An experiment whose artifacts lay in a folder of the same name elsewhere is taken to
    have moved with the database; its earlier runs only if their artifacts came along.

    Args:
        file: The project's own database.
        artifacts: The folder beside it that holds the artifacts now.
    """
    new = artifacts.as_uri()
    columns = [("experiments", "artifact_location")]
    if artifacts.is_dir():
        columns += [("runs", "artifact_uri"), ("logged_models", "artifact_location")]
        columns += [("model_versions", "source"), ("model_versions", "storage_location")]
    with closing(sqlite3.connect(file, timeout=3.0)) as connection, connection:
        rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for old in _outdated([row[0] for row in rows], new):
            log.info("the project lies elsewhere now: artifacts are kept in %s", artifacts)
            for table, column in columns:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )


def _outdated(locations: list[str | None], new: str) -> set[str]:
    name = new.rpartition("/")[2]
    roots = {text[: text.index(f"/{name}") + len(name) + 1] for text in locations if text and f"/{name}" in text}
    return {root for root in roots if root.startswith("file:") and root != new}
