"""The model that a run delivered: the MLflow python function among its artifacts, and what the export said of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.core.digest import file_digest
from fovea.core.errors import FoveaError, RunError, UserError
from fovea.core.places import MODELS, project_root
from fovea.serving import classifier
from fovea.training.result import RECORD

if TYPE_CHECKING:
    from fovea.tracking.finding import FoundRun

PYFUNC = "export/pyfunc"
FACTS = "export/export.json"
WEIGHTS = f"data/classifier/{classifier.ONNX}"
"""Where the weights lie in the folder of the python function."""

CLASSIFIER = f"data/classifier/{classifier.FACTS}"
"""And what it needs to know beside them."""

_STUDIES = {"stage.crossval": "a cross-validation", "stage.ensemble": "an ensemble", "stage.tune": "a search"}
_EXPORT = "kedro run --pipelines=export"


@dataclass(frozen=True)
class Delivered:
    """A delivered model on this machine.

    Attributes:
        folder: What MLflow loads.
        digest: Hex sha256 of its weights, the ONNX file.
        facts: The content of `export.json`.
        transforms: What is done to a picture before the network sees it, beside turning and resizing.
    """

    folder: Path
    digest: str
    facts: Mapping[str, Any]
    transforms: Sequence[Any] = ()

    @property
    def temperature(self) -> float | None:
        """What it divides its logits by; None: nothing."""
        found: float | None = self.facts.get("temperature")
        return found


def check_single(found: FoundRun) -> None:
    """Refuses a run that stands for several models, or for a part of one study.

    Raises:
        UserError: It is one.
    """
    tags = found.run.data.tags
    study = next((words for tag, words in _STUDIES.items() if tag in tags), None)
    if study is not None:
        raise UserError(
            f"the run '{found.name}' ({found.run_id}) is {study}, not one model; name the run of one training"
        )
    if "fold" in tags:
        raise UserError(
            f"the run '{found.name}' ({found.run_id}) is fold {tags['fold']} of a cross-validation, a model that was "
            "trained to be judged; train one on all pictures with `kedro run` and name its run"
        )


def fetch(found: FoundRun, place: Path) -> Delivered:
    """Brings the delivered model of a run into a folder.

    Raises:
        UserError: The run delivered none.
        RunError: What it delivered was deleted or is damaged, or MLflow is out of reach.
    """
    folder, described = found.artifact(PYFUNC, place), found.artifact(FACTS, place)
    who = f"the run '{found.name}' ({found.run_id})"
    if folder is None or described is None:
        raise _missing(found, who)
    try:
        facts = json.loads(described.read_text(encoding="utf-8"))
        transforms = json.loads((folder / CLASSIFIER).read_text(encoding="utf-8"))["transforms"]
        expected = facts["files"][classifier.ONNX]
        digest = file_digest(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"the delivered model of {who} is damaged ({error}); deliver it again: {_way(found)}") from None
    if digest != expected:
        raise RunError(
            f"the weights in {PYFUNC} of {who} are not those that {FACTS} tells; deliver it again: {_way(found)}"
        )
    return Delivered(folder, digest, facts, transforms)


def _missing(found: FoundRun, who: str) -> FoveaError:
    if found.run.data.tags.get("stage.export") == "done":
        return RunError(
            f"{who} was exported, but has no {PYFUNC} and {FACTS} any more: they were deleted, or export.pyfunc=false "
            f"left the first out; deliver the model again: {_way(found)}"
        )
    return UserError(f"{who} holds no delivered model; deliver it: {_way(found)}")


def _way(found: FoundRun) -> str:
    """The commands that deliver the model of a run: what is exported is the project's model."""
    if _is_at_hand(found):
        return f"`{_EXPORT}`"
    return f"`{_command('kedro run', found)}`, which brings that model back, then `{_EXPORT}`"


def retested(found: FoundRun) -> str:
    """The command that tests the model of a run on the data that it was trained on: what is tested is the project's."""
    if _is_at_hand(found):
        return f"`{_command('kedro run --pipelines=ingest,prepare,evaluate', found)}`"
    return f"`{_command('kedro run', found)}`, which makes that model again and tests it"


def _is_at_hand(found: FoundRun) -> bool:
    return tracking.recorded_id(project_root() / MODELS / "model" / RECORD) == found.run_id


def _command(command: str, found: FoundRun) -> str:
    """With the words that the run was made with."""
    return f"{command} {found.run.data.tags.get('overrides', '')}".strip()
