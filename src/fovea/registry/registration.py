"""Puts the delivered model of a run into the registry, once."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fovea.comparison import fetch as runs
from fovea.core.errors import UserError
from fovea.core.files import explained, scratch_directory
from fovea.evaluation import circumstances
from fovea.registry import delivered as deliveries
from fovea.registry.card import FILE, Subject, card
from fovea.registry.shelf import DATA_TAG, WEIGHTS_TAG, Shelf, Version
from fovea.registry.standing import standing

if TYPE_CHECKING:
    from fovea.config.schema import RegistryConfig
    from fovea.tracking.finding import FoundRun

log = logging.getLogger("fovea")

_FOLDER = "registered"


@dataclass(frozen=True)
class Registration:
    """A version, and whether it was made now."""

    name: str
    version: Version
    is_new: bool

    @property
    def sentence(self) -> str:
        """What happened."""
        if self.is_new:
            return f"{self.version.run_name} is version {self.version.number} of '{self.name}'"
        return (
            f"{self.version.run_name} is version {self.version.number} of '{self.name}' already, with the same "
            "weights; nothing was registered"
        )


def shelf_of(found: FoundRun, stated: RegistryConfig) -> Shelf:
    """The registered model that a run belongs to: of the name that was stated, else of the name of its data."""
    return Shelf(found.store, stated.name or found.run.data.params.get("data.name", "unknown"))


def kept_in(digest: str) -> str:
    """The folder of a run's artifacts that holds a registered model: it stays as it is, whatever is exported later.

    Args:
        digest: Of the weights.
    """
    return f"{_FOLDER}/{digest[:12]}"


def register(found: FoundRun, stated: RegistryConfig) -> Registration:
    """Registers the model that a run delivered, with its card; the same weights of a run only once.

    Args:
        found: The run.
        stated: What a person says of the model.

    Raises:
        UserError: The run is no single model, was not tested, delivered none, or is of other data than the versions
            that are there.
        RunError: A file was deleted or is damaged, MLflow is out of reach, or the disk is full.
    """
    deliveries.check_single(found)
    run = runs.read(found)
    shelf = shelf_of(found, stated)
    place = scratch_directory()
    try:
        with explained("fetching the delivered model"):
            delivered = deliveries.fetch(found, place)
        versions = shelf.versions()
        for version in versions:
            if (version.run_id, version.tags.get(WEIGHTS_TAG)) == (found.run_id, delivered.digest):
                return Registration(shelf.name, version, is_new=False)
        _check_data(shelf.name, run.data, versions)
        if run.elsewhere:
            log.warning(
                "register: '%s' %s; the model card says so, and `kedro promote` refuses it; test it again by %s",
                run.name,
                run.elsewhere,
                deliveries.retested(found),
            )
        subject = Subject(shelf.name, run, standing(run, delivered.temperature), delivered, stated)
        return Registration(shelf.name, _add(shelf, found, subject), is_new=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _check_data(name: str, data: str, versions: list[Version]) -> None:
    """Refuses a model of other data than the versions before it: no promotion could compare them."""
    other = next((one for one in versions if one.tags.get(DATA_TAG, data) != data), None)
    if other is not None:
        raise UserError(
            f"the run is of the data '{data}', and {other.label} of '{name}' of '{other.tags[DATA_TAG]}'; register it "
            "under another name: --name NAME"
        )


def _add(shelf: Shelf, found: FoundRun, subject: Subject) -> Version:
    text = card(subject)
    target = kept_in(subject.delivered.digest)
    with explained("writing the model card"):
        (subject.delivered.folder / FILE).write_text(text, encoding="utf-8")
    shelf.keep_folder(found.run_id, subject.delivered.folder, target)
    shelf.keep_text(found.run_id, text, FILE)
    return shelf.add(f"{found.run.info.artifact_uri}/{target}", found.run_id, _tags(subject), text)


def _tags(subject: Subject) -> dict[str, str]:
    facts, run = subject.delivered.facts, subject.run
    return {
        "run_name": run.name,
        WEIGHTS_TAG: subject.delivered.digest,
        DATA_TAG: run.data,
        "data_digest": run.tags.get("data_digest", "unknown"),
        circumstances.DATA_DIGEST: run.tested_digest or "unknown",
        "test_digest": subject.standing.digest,
        "classes": json.dumps(facts["classes"], ensure_ascii=False),
        "preprocessing": f"{facts['input']}; transforms before: {json.dumps(list(subject.delivered.transforms))}",
        "licence": subject.stated.licence or "unknown",
        "test/acc": f"{subject.standing.acc:.4f}",
    }
