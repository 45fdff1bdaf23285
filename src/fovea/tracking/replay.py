"""Sending journals to MLflow later."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from fovea.core.errors import RunError, UserError
from fovea.tracking import journal as journals
from fovea.tracking.facts import is_dead, process_identity
from fovea.tracking.journal import Record
from fovea.tracking.reach import OutOfReachError, RefusedError
from fovea.tracking.store import Store, open_store
from fovea.tracking.target import Target
from fovea.tracking.uri import redacted, resolve

log = logging.getLogger("fovea.tracking")


def head_of(journal: Path) -> Record:
    """The first record of a journal, which names its run; empty when the file holds none or is gone.

    Raises:
        RunError: It may not be read.
    """
    records = journals.read(journal)
    return records[0] if records and records[0].get("op") == "open" else {}


def send(journal: Path, store: Store) -> int:
    """Sends a journal and deletes it.

    A run whose process died without ending it ends KILLED with its last record.

    Returns:
        The number of records; 0: the journal is gone, another process has sent it.

    Raises:
        OutOfReachError: The store does not take them now; the journal stays, and what was sent is not sent twice.
        RunError: The store refuses some of them; the journal stays.
    """
    moment = journals.changed(journal)
    records = journals.read(journal)
    if not records or moment is None:
        return 0
    if not any(record["op"] == "end" for record in records):
        records.append({"op": "end", "status": "KILLED", "time": moment})
    target = Target(store, replay=True)
    refused = ""
    for record in records:
        try:
            target.apply(record)
        except RefusedError as error:
            refused = refused or str(error)
    if refused and journal.exists():
        raise RunError(f"MLflow refuses records of {journal} ({refused}); the others are in, and the file is kept")
    journals.remove(journal)
    return len(records)


def sync(uri: str | None) -> tuple[int, list[str]]:
    """Sends every journal whose process has ended, each to the store it was meant for.

    Args:
        uri: Another store for all of them; None for their own.

    Returns:
        The number of journals sent, and a sentence for each that stays.
    """
    done, troubles = 0, []
    for journal in journals.pending():
        try:
            done += _send_to_its_store(journal, uri)
        except (RunError, UserError) as error:
            troubles.append(str(error))
    return done, troubles


def _send_to_its_store(journal: Path, uri: str | None) -> bool:
    """Whether it was sent; False: it is gone."""
    head = head_of(journal)
    if not head:
        if not journal.exists():
            return False
        raise RunError(f"{journal} is not a journal of a run and is left alone")
    if _is_being_written(head):
        raise RunError(
            f"{journal} is still being written by process {head['tags'].get('pid')}; send it when that has ended"
        )
    try:
        count = send(journal, open_store(_store_of(head, uri), head["experiment"]))
    except OutOfReachError as error:
        place = head["uri"] if uri is None else redacted(uri)
        raise RunError(f"{journal} stays: MLflow at {place} is out of reach ({error})") from error
    except RefusedError as error:
        raise RunError(f"{journal} stays: MLflow refuses it ({error})") from error
    if count:
        log.info("sent the %d records of %s", count, head["name"])
    return bool(count)


def _is_being_written(head: Record) -> bool:
    process = head["tags"].get("process", "")
    mine = process_identity(os.getpid())
    return bool(process) and process != mine and process.split()[:2] == mine.split()[:2] and not is_dead(process)


def _store_of(head: Record, uri: str | None) -> str:
    """The given store, or the journal's own; the password, which no journal holds, comes with the environment's URI."""
    if uri is not None:
        return resolve(uri)
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    return resolve(named if named and redacted(named) == head["uri"] else head["uri"])
