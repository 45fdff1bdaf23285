"""The model that `predict.model` means: a path, a run, or a registered model."""

from __future__ import annotations

from dataclasses import replace

from fovea.core.errors import UserError
from fovea.core.places import MEMBERS, from_home, project_root
from fovea.prediction.forms import SUFFIXES, open_path
from fovea.prediction.predictor import Predictor

_REGISTERED = "models:/"


def open_named(named: str) -> Predictor:
    """Finds and opens a model; what is only fetched is kept in `data/06_models/_members`.

    Args:
        named: A folder or a file, from the working directory or the project's root; ``models:/NAME@alias`` or
            ``models:/NAME/version``; else the name or id of an MLflow run, or ``latest``.

    Raises:
        UserError: There is no such model, it cannot be used, or MLflow is out of reach.
    """
    if named.startswith(_REGISTERED):
        return _fetched(named)
    path = from_home(named)
    for place in (path, project_root() / path):
        if place.exists():
            return open_path(place)
    if named.startswith("runs:/"):
        raise UserError(f"predict.model is '{named}'; name the run alone, as in predict.model=RUN_ID")
    if "/" in named or path.suffix in SUFFIXES:
        raise UserError(f"predict.model: there is no file or folder '{named}'; name a model, its run, or models:/NAME")
    return _fetched(named)


def _fetched(named: str) -> Predictor:
    from fovea.tracking.finding import NotReachedError, fetch_model
    from fovea.tracking.registered import fetch_registered

    cache = project_root() / MEMBERS
    try:
        fetch = fetch_registered if named.startswith(_REGISTERED) else fetch_model
        fetched = fetch(named, cache)
    except NotReachedError as error:  # nothing was started
        raise UserError(f"predict.model: {error}") from error
    predictor = open_path(fetched.path)
    words = f"{fetched.name}, {named}" if named.startswith(_REGISTERED) else fetched.name
    return replace(predictor, words=words, run_id=fetched.run_id or predictor.run_id)
