"""The folder of a training under way, apart from DVC's outputs (which DVC deletes before it runs a stage)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fovea import tracking
from fovea.core.errors import RunError
from fovea.core.files import atomic_file
from fovea.core.locks import exclusive
from fovea.core.places import WORK, project_root
from fovea.training.job import TrainJob
from fovea.training.result import RECORD, TrainedModel

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
        return cls(project_root() / WORK / run_name)

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

        Raises:
            RunError: Another process is training it.
        """
        if self.path in _taken:
            return
        way_out = "wait for it, or change the configuration (for instance seed=1)"
        with ExitStack() as stack:
            stack.enter_context(exclusive(self._lock, f"training of '{self.path.name}'", way_out))
            _taken[self.path] = stack.pop_all()

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
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.unlink(missing_ok=True)


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
