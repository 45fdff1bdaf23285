"""Runs that nothing will go on with."""

from __future__ import annotations

import logging
from pathlib import Path

from fovea.tracking.reach import OutOfReachError, RefusedError, translated
from fovea.tracking.record import read_record
from fovea.tracking.session import current
from fovea.tracking.store import open_store

log = logging.getLogger("fovea.tracking")


def give_up(record: Path) -> None:
    """Ends KILLED the run that a record names if it is not ended, for its training starts over in another run.

    Args:
        record: The file that the stages of the run were given.
    """
    session, known = current(), read_record(record)
    if session is None or known is None or known.run_id is None:
        return
    try:
        with translated():
            client = open_store(session.uri, session.experiment).client
            if client.get_run(known.run_id).info.status == "RUNNING":
                client.set_tag(known.run_id, "error", "its training was started over")
                client.set_terminated(known.run_id, "KILLED")
    except (OutOfReachError, RefusedError) as error:
        log.warning("the run %s, which is given up, could not be ended in MLflow: %s", known.name, error)
