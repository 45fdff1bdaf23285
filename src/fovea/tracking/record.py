"""The file that names a model's run, so that later stages and resumed trainings go on in it."""

from __future__ import annotations

import json
import logging
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fovea.core.files import atomic_file

log = logging.getLogger("fovea.tracking")


@dataclass(frozen=True)
class RunRecord:
    """What identifies a run.

    The file is written once and never changed: it lies in the model's folder, whose digest DVC compares.

    Attributes:
        run_key: The run's own name for itself, the same in every store; a tag in MLflow.
        run_id: MLflow's id, or None when MLflow was out of reach at the start.
        name: The run's name.
        experiment: The experiment.
        uri: The store, without password, relative to the project's root where it lies in it.
    """

    run_key: str
    run_id: str | None
    name: str
    experiment: str
    uri: str

    def write(self, path: Path) -> None:
        """Writes the record in one step.

        Raises:
            RunError: The disk is full or may not be written.
        """
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")
        _claim(path).unlink(missing_ok=True)


def claim_key(record: Path) -> tuple[str, bool]:
    """The key of a run that is to be opened, on disk before MLflow hears of it.

    So a process that is killed before it has written the record leaves a run that the next one finds.

    Args:
        record: Where the record will be.

    Returns:
        The key, and whether it is new.

    Raises:
        RunError: The disk is full or may not be written.
    """
    place = _claim(record)
    with suppress(OSError, UnicodeDecodeError):
        key = place.read_text()
        if key.isalnum():
            return key, False
    key = uuid.uuid4().hex
    with atomic_file(place) as temporary:
        temporary.write_text(key)
    return key, True


def _claim(record: Path) -> Path:
    return record.with_name(f".{record.name}.key")


def recorded_id(path: Path) -> str | None:
    """The MLflow id of the run that the record at `path` names; None: there is no record, or it names none."""
    record = read_record(path)
    return record.run_id if record is not None else None


def read_record(path: Path) -> RunRecord | None:
    """The record at `path`, or None when there is none that names a run."""
    try:
        known: Any = json.loads(path.read_text())
        run_id = known.get("run_id")
        key = known.get("run_key") or run_id
        if not isinstance(key, str) or not key.isalnum():
            raise ValueError("it has no run_key")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        log.warning("%s does not name a run (%s); a new one is opened", path, error)
        return None
    return RunRecord(key, run_id, *(str(known.get(name) or "") for name in ("name", "experiment", "uri")))
