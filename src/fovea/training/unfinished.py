"""The training that was perhaps meant: one that was stopped, and differs in little from the one that starts anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fovea.config.runtime_params import written
from fovea.training.checkpoint_sidecar import Sidecar, newest_first
from fovea.training.job import TrainJob, without_effect
from fovea.training.workfolder import WorkFolder

_MOST = 5  # differences, above which it is another training
_MISSING = object()


@dataclass(frozen=True)
class Unfinished:
    """A training that was stopped.

    Attributes:
        work: Its work folder.
        sidecar: Of its newest checkpoint.
        differences: Dotted keys to the value there and the value here.
    """

    work: WorkFolder
    sidecar: Sidecar
    differences: Mapping[str, tuple[Any, Any]]

    def sentence(self) -> str:
        """What differs, where it stands, and how to go on with it."""
        values = (f"{key} is {_shown(there)} there and {_shown(here)} here" for key, (there, here) in self._items())
        stand = f"in epoch {self.sidecar.epoch} after step {self.sidecar.step}"
        return (
            f"{self.work.path.name}, which was stopped {stand}, is another training: {', '.join(values)}; it stays as "
            f"it is. To go on with it add to the command: {' '.join(self._words())} (and --fresh to start it over)"
        )

    def _items(self) -> Iterator[tuple[str, tuple[Any, Any]]]:
        yield from self.differences.items()

    def _words(self) -> Iterator[str]:
        chosen = {key.partition(".")[0]: there for key, (there, _) in self._items() if key.endswith(".name")}
        yield from (f"{group}={name}" for group, name in chosen.items())
        for key, (there, _) in self._items():
            if there is not _MISSING and not (key.endswith(".name") and key.count(".") == 1):
                yield f"{key}={written(there)}"


def nearest_unfinished(work: WorkFolder, job: TrainJob) -> Unfinished | None:
    """The training of the same model on the same data that was stopped and differs least; None: there is none like it.

    Args:
        work: The folder of the training that starts; not looked at.
        job: What it trains.
    """
    here = dict(_leaves(without_effect(job.plain())))
    found = []
    for path in sorted(work.path.parent.glob("*/resolved.yaml")):
        other = WorkFolder(path.parent)
        if other.path == work.path:
            continue
        differences = _differences(path, here)
        checkpoint = next(newest_first(other.path), None)
        sidecar = None if checkpoint is None else Sidecar.read(checkpoint)
        if differences and sidecar is not None and not other.is_finished and not other.is_under_way:
            found.append(Unfinished(other, sidecar, differences))
    return min(found, key=lambda one: len(one.differences), default=None)


def _differences(resolved: Path, here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]] | None:
    """By key; None where there are too many, where model or data are others, or where the file cannot be read."""
    try:
        there = dict(_leaves(without_effect(yaml.safe_load(resolved.read_text())["job"])))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None
    if any(there.get(key) != here.get(key) for key in ("model.name", "data.name")):
        return None
    keys = [key for key in [*here, *there] if there.get(key, _MISSING) != here.get(key, _MISSING)]
    differences = {key: (there.get(key, _MISSING), here.get(key, _MISSING)) for key in keys}
    return differences if len(differences) <= _MOST else None


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return "not set" if value is _MISSING else written(value)
