"""A run to log into."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from fovea.core.errors import FoveaError
from fovea.tracking.journal import Record, now
from fovea.tracking.params import flatten

_WINDOW = 0.2


class Sink(Protocol):
    """What takes a run's records."""

    @property
    def run_id(self) -> str | None:
        """The run's id in MLflow, once it is known."""

    @property
    def journal(self) -> Path | None:
        """The file that keeps the records while MLflow is out of reach."""

    def send(self, record: Record, *, last_chance: bool = False) -> None:
        """Takes a record."""


class Run:
    """One MLflow run, open for logging.

    Metrics are sent at once, unless others were a moment ago: then they are gathered for 0.2 s and sent together by a
    thread, so that a loop that logs every step does not wait for the store. Everything else is sent at once, after the
    metrics before it. Logging the same thing again changes nothing: a point (name, step) that is there stays, a
    parameter that is there stays, and a differing one is noted in the tag `param_drift`.

    Args:
        name: The run's name.
        key: What identifies the run in every store.
        sink: What takes its records.
    """

    def __init__(self, name: str, key: str, sink: Sink) -> None:
        self.name = name
        self.key = key
        self._sink = sink
        self._lock = threading.Lock()
        self._sending = threading.RLock()
        self._points: list[list[Any]] = []
        self._last_sent = -math.inf
        self._timer: threading.Timer | None = None
        self._failure: FoveaError | None = None
        self.is_open = False

    @property
    def run_id(self) -> str | None:
        """The run's id in MLflow; None while MLflow has never been in reach."""
        return self._sink.run_id

    @property
    def journal(self) -> Path | None:
        """The file that keeps the records while MLflow is out of reach."""
        return self._sink.journal

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Logs numbers.

        Args:
            values: Names such as `val/acc` to numbers.
            step: Where on the curve; None for a value that stands for the whole run.

        Raises:
            RunError: MLflow is out of reach and `tracking.on_error` is `stop`.
        """
        moment = now()
        with self._lock:
            failure, self._failure = self._failure, None
            self._points += [[name, float(value), step, moment] for name, value in values.items()]
            is_due = time.monotonic() - self._last_sent >= _WINDOW
            if not is_due and self._timer is None:
                self._timer = threading.Timer(_WINDOW, self._tick)
                self._timer.daemon = True
                self._timer.start()
        if failure is not None:
            raise failure
        if is_due:
            self.flush()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs parameters, a nested mapping flattened to dotted names; values longer than 500 characters are cut."""
        self._send({"op": "params", "values": flatten(params)})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets tags; an earlier value is replaced."""
        self._send({"op": "tags", "tags": {name: str(value) for name, value in tags.items()}})

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Adds a file to the run's artifacts, in `folder`."""
        self._send({"op": "file", "file": str(path), "folder": folder})

    def log_artifacts(self, directory: Path, folder: str = "") -> None:
        """Adds the files below a directory to the run's artifacts, in `folder`."""
        self._send({"op": "file", "file": str(directory), "folder": folder})

    def log_text(self, text: str, name: str) -> None:
        """Adds a text to the run's artifacts, under the path `name`."""
        self._send({"op": "text", "text": text, "name": name})

    def log_dataset(self, name: str, digest: str, context: str, facts: Mapping[str, Any] | None = None) -> None:
        """Logs the data that went in.

        Args:
            name: The data set's name.
            digest: Its digest; MLflow's table shows the first 12 characters.
            context: What it served for: `training`, `evaluation`.
            facts: Plain data about it.
        """
        self._send({"op": "dataset", "name": name, "digest": digest, "context": context, "facts": dict(facts or {})})

    def flush(self) -> None:
        """Sends the metrics that were gathered; call it before something is saved that stands for them."""
        with self._sending:
            with self._lock:
                points, self._points = self._points, []
                timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if not points:
                return
            try:
                self._deliver({"op": "metrics", "points": points})
            except BaseException:
                with self._lock:
                    self._points = points + self._points
                raise
            self._last_sent = time.monotonic()

    def end(self, status: str) -> None:
        """Ends the run: FINISHED, FAILED or KILLED."""
        self.flush()
        with self._sending:
            self._deliver({"op": "end", "status": status, "time": now()}, last_chance=True)
        self.is_open = False

    def open(self, record: Record) -> None:
        """Finds or makes the run in MLflow."""
        self._deliver({**record, "op": "open", "key": self.key, "name": self.name, "time": now()})
        self.is_open = True

    def _send(self, record: Record) -> None:
        self.flush()
        with self._sending:
            self._deliver(record)

    def _deliver(self, record: Record, *, last_chance: bool = False) -> None:
        self._sink.send(record, last_chance=last_chance)

    def _tick(self) -> None:
        try:
            self.flush()
        except FoveaError as error:
            with self._lock:
                self._failure = error
        except Exception:
            logging.getLogger("fovea.tracking").exception("sending metrics to MLflow failed")


class _Nowhere:
    run_id: str | None = None
    journal: Path | None = None

    def send(self, record: Record, *, last_chance: bool = False) -> None:
        """Takes a record and forgets it."""


class NullRun(Run):
    """A run that keeps nothing: on ranks other than 0, and where tracking was not configured."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name, "", _Nowhere())

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Forgets the numbers."""
