"""The members of an ensemble: found, opened, and checked before anything is trained or measured."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fovea import tracking
from fovea.core.digest import file_digest
from fovea.core.errors import RunError, UserError
from fovea.core.places import MEMBERS, from_home, project_root
from fovea.evaluation.fit import difference
from fovea.training.result import RECORD, WEIGHTS, TrainedModel

if TYPE_CHECKING:
    from fovea.config.schema import EnsembleConfig
    from fovea.shards import PreparedData

log = logging.getLogger("fovea")


@dataclass(frozen=True)
class Member:
    """A trained model that takes part.

    Attributes:
        named: As the configuration names it.
        model: The model.
        run_id: Of its MLflow run; None where that is not known.
        weights: Hex sha256 of its weights.
    """

    named: str
    model: TrainedModel
    run_id: str | None
    weights: str


def find_members(config: EnsembleConfig) -> list[Member]:
    """Opens the members that exist already; those that are only fetched are kept in `data/06_models/_members`.

    Raises:
        UserError: There would be fewer than two members, a name means no model, or two are the same.
        RunError: A model is damaged, or MLflow is out of reach.
    """
    count = len(config.members) + len(config.seeds)
    if count < 2:
        raise UserError(
            f"an ensemble needs at least 2 members, and ensemble.members={config.members} with "
            f"ensemble.seeds={config.seeds} gives {count}; name trained models, as in "
            "'ensemble.members=[data/06_models/model,lenet5-digits-0123abcd]', or seeds, as in 'ensemble.seeds=[0,1,2]'"
        )
    if len(set(config.seeds)) < len(config.seeds):
        raise UserError(f"ensemble.seeds={config.seeds} names a seed twice; equal seeds train equal networks")
    found: dict[str, Member] = {}
    for named in config.members:
        member = _open(named)
        twin = found.setdefault(member.weights, member)
        if twin is not member:
            raise UserError(
                f"ensemble.members: '{named}' and '{twin.named}' hold the same weights; take one of them out"
            )
    return list(found.values())


def check_member(member: Member, prepared: PreparedData) -> None:
    """Refuses a member that cannot look at these pictures.

    Raises:
        UserError: It was trained on other classes or another kind of picture.
    """
    meta = prepared.meta
    found = {"classes": list(meta.classes), "channels": meta.channels, "image_size": meta.image_size}
    words = difference(member.model.facts["data"], found)
    if words:
        raise UserError(f"member '{member.named}' does not fit the data '{meta.name}': {words}; take it out")


def _open(named: str) -> Member:
    folder = _folder(named)
    run_id = None
    if folder is None:
        from fovea.tracking.finding import fetch_model

        fetched = fetch_model(named, project_root() / MEMBERS)
        folder, run_id = fetched.path, fetched.run_id
    try:
        model = TrainedModel.open(folder)
        model.network()
    except RunError as error:
        raise RunError(f"member '{named}' of the ensemble cannot be used: {error}") from None
    run_id = run_id or tracking.recorded_id(folder / RECORD)
    return Member(named, model, run_id, file_digest(folder / WEIGHTS))


def _folder(named: str) -> Path | None:
    """The folder that a name means, from the working directory or the project's root; None: it is a run's."""
    path = from_home(named)
    for place in (path, project_root() / path):
        if place.is_dir():
            return place
    if "/" in named:
        raise UserError(f"ensemble.members: there is no folder '{named}'; name a trained model's folder, or its run")
    return None
