"""Runs that a killed process left behind as RUNNING."""

from __future__ import annotations

import logging
from contextlib import suppress

from fovea.tracking.facts import is_dead, process_tags
from fovea.tracking.reach import OutOfReachError, RefusedError, translated
from fovea.tracking.store import Store

log = logging.getLogger("fovea.tracking")


def end_orphans(store: Store) -> None:
    """Gives the runs of this machine whose process died without a word their true status, KILLED."""
    mine = process_tags()
    with suppress(OutOfReachError, RefusedError), translated():
        running = f"attributes.status = 'RUNNING' and tags.host = '{mine['host']}'"
        for run in store.client.search_runs([store.experiment_id], running, max_results=100):
            if not is_dead(run.data.tags.get("process", "")):
                continue
            run_id = run.info.run_id
            moments = [
                point.timestamp
                for name in run.data.metrics
                for point in store.client.get_metric_history(run_id, name)[-1:]
            ]
            store.client.set_tag(run_id, "error", "the process ended without a word (killed, or the machine stopped)")
            store.client.set_terminated(run_id, "KILLED", max([run.info.start_time, *moments]))
            log.info("the run %s of a process that died is marked KILLED", run.info.run_name)
