"""One MLflow run, to which records are sent; sending one twice changes nothing."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fovea.tracking.facts import is_dead
from fovea.tracking.journal import Record
from fovea.tracking.params import cut
from fovea.tracking.reach import RefusedError, translated
from fovea.tracking.store import Store
from fovea.tracking.uri import redacted

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

log = logging.getLogger("fovea.tracking")

T = TypeVar("T")

KEY = "run_key"
_SHOWN_DIGEST = 12


class Target:
    """Sends records to the run with a key, which it finds or makes.

    Args:
        store: The store.
        replay: Whether the records are of the past: then the run's state is changed only where nothing later stands.
    """

    def __init__(self, store: Store, *, replay: bool = False) -> None:
        self.run_id: str | None = None
        self.replay = replay
        self._is_complete = False
        self._store = store
        self._client = store.client
        self._fresh = False
        self._author = ""
        self._params: dict[str, str] | None = None
        self._points: dict[str, dict[int, float]] = {}
        self._kinds: dict[str, Callable[[Record], None]] = {
            "open": self._open,
            "params": self._log_params,
            "metrics": self._log_metrics,
            "tags": self._set_tags,
            "file": self._log_file,
            "text": self._log_text,
            "dataset": self._log_dataset,
            "end": self._end,
        }

    def apply(self, record: Record) -> None:
        """Sends one record.

        Raises:
            OutOfReachError: The store does not take it now.
            RefusedError: The store never takes it.
        """
        if not self._is_complete:
            with translated():
                self._kinds[record["op"]](record)

    @property
    def _id(self) -> str:
        if self.run_id is None:
            raise RefusedError("the journal does not begin with its run")
        return self.run_id

    def _open(self, record: Record) -> None:
        """`key`, `run_id` or None, `new`, `name`, `time` in ms, `tags` of a new run, `again` of a resumed one.

        With `once`, a run that has FINISHED stays as it is, and all further records are dropped.
        """
        self._author = record["tags"].get("process", "")
        found = None if record.get("new") and not self.replay else self._find(record["key"], record.get("run_id"))
        if found is None:
            if record.get("run_id") and not self.replay:
                place = redacted(self._store.uri)
                log.info("the run of this model is not in %s (it was trained elsewhere); a new one is opened", place)
            tags = {**record["tags"], KEY: record["key"]}
            made = self._client.create_run(self._store.experiment_id, record["time"], tags, record["name"])
            self.run_id, self._fresh, self._params = str(made.info.run_id), True, {}
            return
        self.run_id = str(found.info.run_id)
        self._is_complete = bool(record.get("once")) and found.info.status == "FINISHED"
        if not self.replay and not self._is_complete:
            self._client.update_run(self._id, status="RUNNING")
            self._set_tags({"tags": record["again"]})
            self._forget_error(found)

    def _find(self, key: str, run_id: str | None) -> MlflowRun | None:
        from mlflow.exceptions import MlflowException

        if run_id:
            try:
                run = self._client.get_run(run_id)
                if run.info.lifecycle_stage == "active":
                    return run
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        runs = self._client.search_runs([self._store.experiment_id], f"tags.{KEY} = '{key}'", max_results=1)
        return runs[0] if runs else None

    def _log_params(self, record: Record) -> None:
        """`values`: flat names to texts."""
        from mlflow.entities import Param

        if self._params is None:
            self._params = dict(self._client.get_run(self._id).data.params)
        values: Mapping[str, str] = record["values"]
        drift = [
            f"{name}: {self._params[name]} -> {value}"
            for name, value in values.items()
            if self._params.get(name, value) != value
        ]
        new = {name: value for name, value in values.items() if name not in self._params}
        for part in _chunks(new.items(), 100):
            self._client.log_batch(self._id, params=[Param(name, value) for name, value in part])
        self._params.update(new)
        if drift:
            self._client.set_tag(self._id, "param_drift", cut("; ".join(drift), 4000))

    def _log_metrics(self, record: Record) -> None:
        """`points`: lists of name, value, step or None, time in ms."""
        from mlflow.entities import Metric

        fresh = [
            Metric(name, float(value), moment, step or 0)
            for name, value, step, moment in record["points"]
            if not self._is_known(name, float(value), step)
        ]
        for part in _chunks(fresh, 500):
            self._client.log_batch(self._id, metrics=part)
            for metric in part:
                self._points[metric.key][metric.step] = metric.value

    def _is_known(self, name: str, value: float, step: int | None) -> bool:
        """A step has one point for ever; a value without a step may change."""
        if name not in self._points:
            history = [] if self._fresh else self._client.get_metric_history(self._id, name)
            self._points[name] = {point.step: point.value for point in history}
        before = self._points[name].get(step or 0)
        if step is not None or before is None:
            return before is not None
        return before == value or (math.isnan(before) and math.isnan(value))

    def _set_tags(self, record: Record) -> None:
        """`tags`: names to texts."""
        from mlflow.entities import RunTag

        for part in _chunks(record["tags"].items(), 100):
            self._client.log_batch(self._id, tags=[RunTag(name, value) for name, value in part])

    def _log_file(self, record: Record) -> None:
        """`file`: a path, of a folder whose files are meant or of one file; `folder` in the run's artifacts."""
        path, folder = Path(record["file"]), record["folder"]
        if not path.exists():
            raise RefusedError(f"{path} does not exist")
        if path.is_dir():
            self._client.log_artifacts(self._id, str(path), folder or None)
        else:
            self._client.log_artifact(self._id, str(path), folder or None)

    def _log_text(self, record: Record) -> None:
        """`text`, `name`: path in the run's artifacts."""
        self._client.log_text(self._id, record["text"], record["name"])

    def _log_dataset(self, record: Record) -> None:
        """`name`, `digest`, `context`, `facts`."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts: dict[str, Any] = record["facts"]
        text = json.dumps(facts, sort_keys=True, default=str)
        dataset = Dataset(
            name=record["name"],
            digest=record["digest"][:_SHOWN_DIGEST],
            source_type="local",
            source=json.dumps({"digest": record["digest"]}),
            profile=text,
        )
        tag = InputTag("mlflow.data.context", record["context"])
        for is_last in (False, False, True):
            try:
                self._client.log_inputs(self._id, datasets=[DatasetInput(dataset, [tag])])
                return
            except Exception as error:
                # MLflow looks for the data set and then adds it. Of processes that do so at one moment, the database
                # takes the first, and the others find its data set when they ask again.
                if is_last or "unique" not in str(error).lower():
                    raise

    def _end(self, record: Record) -> None:
        """`status`, `time` in ms."""
        if self.replay:
            run = self._client.get_run(self._id)
            if self._is_overtaken(run, record["time"]):
                return
            if record["status"] == "FINISHED":
                self._forget_error(run)
        self._client.set_terminated(self._id, record["status"], record["time"])

    def _forget_error(self, run: MlflowRun) -> None:
        """What went wrong before a stage that went well."""
        if "error" in run.data.tags:
            self._client.delete_tag(self._id, "error")

    def _is_overtaken(self, run: MlflowRun, moment: int) -> bool:
        """Whether a later stage ended this run since, or works on it now."""
        if run.info.status != "RUNNING":
            return run.info.end_time is not None and run.info.end_time > moment
        process = run.data.tags.get("process", "")
        return process not in ("", self._author) and not is_dead(process)


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
