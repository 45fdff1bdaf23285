"""Nodes of the ensemble pipeline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fovea.pipelines.train.nodes import SECTIONS

if TYPE_CHECKING:
    import pandas as pd

    from fovea.evaluation.members import Member
    from fovea.shards import PreparedData
else:
    pd = SimpleNamespace(DataFrame=Any)  # Kedro evaluates the hints of every node when it starts
    Member = PreparedData = Any


def find(ensemble: dict[str, Any]) -> list[Member]:
    """Opens the members that exist, so that a wrong name is told before anything is made.

    Args:
        ensemble: The section `ensemble` of the config.

    Returns:
        The members.
    """
    from fovea.config.schema import EnsembleConfig, parse
    from fovea.evaluation.members import find_members

    return find_members(parse(EnsembleConfig, ensemble, "ensemble"))


def measure(
    prepared: PreparedData, members: list[Member], ensemble: dict[str, Any], evaluate: dict[str, Any], *sections: Any
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Trains a member for each seed, and lets all members vote on the test pictures.

    Args:
        prepared: The data.
        members: Those that exist.
        ensemble: The section `ensemble` of the config.
        evaluate: The section `evaluate` of the config.
        sections: The sections of the config named by `SECTIONS`, in that order.

    Returns:
        The summary, a row a member, a row a test picture.
    """
    from fovea.config.schema import EnsembleConfig, EvaluateConfig, parse
    from fovea.evaluation.ensemble import measure as measure_members
    from fovea.training.job import TrainJob

    job = TrainJob.parse(dict(zip(SECTIONS, sections, strict=True)))
    config = parse(EnsembleConfig, ensemble, "ensemble")
    result = measure_members(prepared, members, job, config, parse(EvaluateConfig, evaluate, "evaluate"))
    return result.summary, result.members, result.predictions
