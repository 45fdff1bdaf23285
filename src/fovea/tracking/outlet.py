"""The way out for records: MLflow while it answers, the journal while it does not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from fovea.core.errors import FoveaError, RunError
from fovea.core.places import shared_root
from fovea.tracking import journal as journals
from fovea.tracking.journal import Journal, Record
from fovea.tracking.orphans import end_orphans
from fovea.tracking.reach import OutOfReachError, RefusedError, probe
from fovea.tracking.replay import check_ended, head_of, send
from fovea.tracking.store import Store, open_store
from fovea.tracking.target import Target
from fovea.tracking.uri import portable, redacted, sqlite_file

log = logging.getLogger("fovea.tracking")

_PAUSE = 30.0
_PART = 20.0


class Outlet:
    """Sends the records of one run, in order, and loses none.

    When MLflow fails, records go to a journal; MLflow is tried again after 30 s at the earliest, and so seldom that the
    tries take less than a twentieth of the time.

    Args:
        uri: The store's absolute URI.
        experiment: The experiment's name.
        on_error: `continue`: the journal takes what MLflow does not; `stop`: a `RunError`.
        pause: Seconds until MLflow is tried again.
    """

    def __init__(self, uri: str, experiment: str, on_error: Literal["continue", "stop"], pause: float = _PAUSE) -> None:
        self.journal: Path | None = None
        self._uri = uri
        self._experiment = experiment
        self._on_error = on_error
        self._pause = pause
        self._lock = threading.RLock()
        self._target: Target | None = None
        self._journal: Journal | None = None
        self._head: Record = {}
        self._next_try = 0.0
        self._is_deaf = False

    @property
    def run_id(self) -> str | None:
        """The run's id in MLflow, once it is known."""
        return self._target.run_id if self._target is not None else None

    def send(self, record: Record, *, last_chance: bool = False) -> None:
        """Sends a record, or keeps it on disk.

        Args:
            record: The record; the first one of a run is of kind `open`.
            last_chance: Whether MLflow is to be tried now even if it failed a moment ago.

        Raises:
            RunError: MLflow does not take it and `on_error` is `stop`.
        """
        with self._lock:
            if record["op"] == "open":
                self._head = record
            if self._journal is None and not self._is_deaf:
                self._send_now(record)
                return
            self._keep(record)
            if self._journal is not None and (last_chance or time.monotonic() >= self._next_try):
                self._try(partial(self._catch_up, self._journal))

    def _send_now(self, record: Record) -> None:
        def attempt() -> None:
            target = self._connected()
            if record["op"] != "open":
                target.apply(record)

        if not self._try(attempt):
            self._keep(record)

    def _try(self, attempt: Callable[[], None]) -> bool:
        """Whether MLflow answered; a refused record counts as answered."""
        start = time.monotonic()
        try:
            attempt()
        except RefusedError as error:
            if self._on_error == "stop":
                raise RunError(f"MLflow refuses a record: {error}") from error
            log.warning("MLflow refuses a record, which is left out: %s", error)
        except OutOfReachError as error:
            self._open_journal(str(error))
            end = time.monotonic()
            self._next_try = end + max(self._pause, _PART * (end - start))
            return False
        return True

    def _connected(self) -> Target:
        """The target, its run opened."""
        file = sqlite_file(self._uri)
        if file is not None:
            probe(file)
        if self._target is None:
            try:
                store = open_store(self._uri, self._experiment)
                target = Target(store)
                self._send_earlier(store)
                target.apply(self._with_run_id(self._head))
            except RefusedError as error:
                raise OutOfReachError(f"it refuses the run: {error}") from error
            self._target = target
            end_orphans(store)
        return self._target

    def _send_earlier(self, store: Store) -> None:
        """What an earlier process kept of this very run comes first."""
        for path in journals.pending():
            try:
                if path != self.journal and head_of(path).get("key") == self._head["key"]:
                    check_ended(path)
                    send(path, store)
            except RunError as error:
                log.warning("%s", error)

    def _open_journal(self, reason: str) -> None:
        place = redacted(self._uri)
        if self._on_error == "stop":
            raise RunError(
                f"MLflow at {place} is out of reach ({reason}); mend that, "
                "or set tracking.on_error=continue to keep the records on disk"
            )
        if self._journal is not None or self._is_deaf:
            return
        # Whether MLflow took the last request is not known, so the run is looked for before it is made.
        self._head = {**self._head, "new": False}
        try:
            self._journal = Journal(self._head["name"], {**self._with_run_id(self._head), "uri": portable(self._uri)})
        except (FoveaError, OSError) as error:
            self._give_up(error)
            return
        self.journal = self._journal.path
        log.warning(
            "MLflow at %s is out of reach (%s); the run goes on and its records are kept in %s, "
            "to be sent with `kedro tracking-sync`",
            place,
            reason,
            _short(self._journal.path),
        )

    def _with_run_id(self, head: Record) -> Record:
        return {**head, "experiment": self._experiment, "run_id": self.run_id or head.get("run_id")}

    def _keep(self, record: Record) -> None:
        if self._journal is None or record["op"] == "open":
            return
        try:
            self._journal.append(record)
        except (FoveaError, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """No MLflow and no disk either: the run goes on without being recorded, and this is said once."""
        if not self._is_deaf:
            log.warning("what this run logs from here on is lost: %s", error)
        self._is_deaf = True

    def _catch_up(self, journal: Journal) -> None:
        """Sends what the journal holds and goes on with MLflow."""
        target = self._connected()
        for record in journals.read(journal.path)[journal.sent :]:
            try:
                target.apply(record)
            except RefusedError as error:
                log.warning("MLflow refuses a record, which is left out: %s", error)
            journal.sent += 1
        log.info("MLflow answers again; the %d records kept on disk were sent", journal.sent - 1)
        journals.remove(journal.path)
        self._journal = self.journal = None


def _short(path: Path) -> str:
    root = shared_root()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
