"""The folder of a training under way, apart from DVC's outputs (which DVC deletes before it runs a stage)."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fovea import tracking
from fovea.core.errors import RunError, UserError
from fovea.core.files import atomic_file, discard
from fovea.core.locks import exclusive, is_held
from fovea.core.places import FRESH, work_root
from fovea.tracking.facts import process_identity
from fovea.training.job import TrainJob
from fovea.training.result import RECORD, TrainedModel

log = logging.getLogger("fovea")

_RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
_taken: dict[Path, ExitStack] = {}


@dataclass(frozen=True)
class WorkFolder:
    """`data/06_models/_work/<run name>`: checkpoints, the MLflow run's id and, at the end, the result.

    Attributes:
        path: The folder; its name follows from all that decides the weights, so the same command finds it again.
    """

    path: Path

    @classmethod
    def of(cls, run_name: str) -> WorkFolder:
        """The work folder of a run, in the project at hand."""
        return cls(work_root() / run_name)

    @property
    def record(self) -> Path:
        """The file that names the MLflow run."""
        return self.path / RECORD

    @property
    def result(self) -> Path:
        """The folder of the trained model, whole as soon as it exists."""
        return self.path / "result"

    @property
    def is_finished(self) -> bool:
        """Whether training ended and only later stages are missing."""
        try:
            TrainedModel.open(self.result)
        except RunError:
            return False
        return True

    def take(self) -> None:
        """Keeps other processes from training this configuration until `let_go`, or until this process ends.

        Where the command is to start over (`is_fresh`), what an earlier process left is discarded.

        Raises:
            RunError: Another process is training it.
            UserError: `FOVEA_FRESH` is neither 0 nor 1.
        """
        if self.path in _taken:
            return
        fresh = is_fresh()
        way_out = "wait for it, or change the configuration (for instance seed=1)"
        with ExitStack() as stack:
            stack.enter_context(exclusive(self._lock, f"training of '{self.path.name}'", way_out))
            if fresh:
                self._start_over()
            _taken[self.path] = stack.pop_all()

    @property
    def is_under_way(self) -> bool:
        """Whether a process is training in it."""
        return self.path in _taken or is_held(self._lock)

    def _start_over(self) -> None:
        """Discards the folder, once for all processes that one launcher starts one after another."""
        launcher, note = _launcher(), self.path / "started-over-by"
        with suppress(OSError):
            if launcher is not None and note.read_text() == launcher:
                return
        self._discard()
        if launcher is not None:
            self.path.mkdir(parents=True, exist_ok=True)
            note.write_text(launcher)

    def _discard(self) -> None:
        if not self.path.exists():
            return
        if not self.is_finished:
            tracking.give_up(self.record)
        discard(self.path)
        log.info("%s starts over; what there was of it is discarded", self.path.name)

    @property
    def _lock(self) -> Path:
        return self.path.parent / f".{self.path.name}.lock"

    @property
    def resolved(self) -> Path:
        """The file that says what is trained, on what, and where that is recorded."""
        return self.path / "resolved.yaml"

    def write_job(self, job: TrainJob, address: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> None:
        """Writes `resolved.yaml`, which `python -m fovea.training.worker` takes.

        Args:
            job: What is trained.
            address: On what; `PreparedData.address`.
            tags: Of the MLflow run, which is recorded where this process records its own.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        content = {"job": job.plain(), **address, "tracking": tracking.exported(), "tags": dict(tags or {})}
        text = yaml.safe_dump(content, sort_keys=False)
        with atomic_file(self.resolved) as temporary:
            temporary.write_text(text)

    def remove(self) -> None:
        """Removes the folder once its result stands in its final place."""
        discard(self.path)
        self._lock.unlink(missing_ok=True)


def is_fresh(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether trainings start over, whatever is there of them: `FOVEA_FRESH=1`, as `kedro run --fresh` sets it.

    A process that replaces one that died does not start over again.

    Args:
        environment: The variables of the environment.

    Raises:
        UserError: The variable is neither 0 nor 1.
    """
    wish = environment.get(FRESH) or "0"
    if wish not in ("0", "1"):
        raise UserError(f"{FRESH}={wish} is neither 0 nor 1; set it to 1 to start trainings over, or leave it out")
    return wish == "1" and all(environment.get(name, "0") in ("", "0") for name in _RESTARTS)


def _launcher() -> str | None:
    """What names the launcher that started this process and may start others in its place; None: there is none.

    Where machines come and go it counts no restart.
    """
    return process_identity(os.getppid()) if "TORCHELASTIC_RUN_ID" in os.environ else None


def let_go(*, remove: bool) -> None:
    """Frees the work folders that this process took.

    Args:
        remove: Whether every stage went well, so that nothing in them is needed any more. Without it the next run of
            the same command goes on from what is there.
    """
    while _taken:
        path, lock = _taken.popitem()
        if remove:
            WorkFolder(path).remove()
        lock.close()


def forget(model: TrainedModel) -> None:
    """Removes the work folder of a published model that no stage may have to publish again.

    It stays where another training of the same configuration lies in it by now.

    Args:
        model: The model at its final place.
    """
    work = WorkFolder.of(model.facts["run_name"])
    if not work.is_finished or work.is_under_way:
        return
    records = [folder / RECORD for folder in (work.result, model.path)]
    if len({record.read_bytes() if record.exists() else b"" for record in records}) == 1:
        work.remove()
