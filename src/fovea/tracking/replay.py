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


def check_ended(journal: Path, *, force: bool = False) -> None:
    """Refuses a journal that a process may still be writing.

    Args:
        journal: The journal; one that holds the end of its run is written no more.
        force: Whether a process that cannot be seen from here, as it is another machine's, is taken to have ended.

    Raises:
        RunError: Its process is alive, or may be; or the journal may not be read.
    """
    records = journals.read(journal)
    if any(record["op"] == "end" for record in records):
        return
    process, mine = _process_of(records), process_identity(os.getpid())
    if process == mine or is_dead(process):
        return
    host, space, pid = [*process.split(), "", "", ""][:3]
    if [host, space] == mine.split()[:2]:
        raise RunError(f"{journal} is still being written by process {pid}; send it when that has ended")
    if process and not force:
        raise RunError(
            f"{journal} has no end, and whether process {pid} on {host} still writes it cannot be seen from here; "
            "if that has ended, send it with `kedro tracking-sync --force`"
        )


def _process_of(records: list[Record]) -> str:
    return str(records[0]["tags"].get("process", "")) if records else ""


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


def sync(uri: str | None, *, force: bool = False) -> tuple[int, list[str]]:
    """Sends every journal whose process has ended, each to the store it was meant for.

    Args:
        uri: Another store for all of them; None for their own.
        force: Whether processes of other machines are taken to have ended.

    Returns:
        The number of journals sent, and a sentence for each that stays.
    """
    done, troubles = 0, []
    for journal in journals.pending():
        try:
            done += _send_to_its_store(journal, uri, force=force)
        except (RunError, UserError) as error:
            troubles.append(str(error))
    return done, troubles


def _send_to_its_store(journal: Path, uri: str | None, *, force: bool) -> bool:
    """Whether it was sent; False: it is gone."""
    head = head_of(journal)
    if not head:
        if not journal.exists():
            return False
        raise RunError(f"{journal} is not a journal of a run and is left alone")
    check_ended(journal, force=force)
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


def _store_of(head: Record, uri: str | None) -> str:
    """The given store, or the journal's own; the password, which no journal holds, comes with the environment's URI."""
    if uri is not None:
        return resolve(uri)
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    return resolve(named if named and redacted(named) == head["uri"] else head["uri"])
