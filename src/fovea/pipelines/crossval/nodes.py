"""Nodes of the crossval pipeline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fovea.pipelines.train.nodes import SECTIONS

if TYPE_CHECKING:
    import pandas as pd

    from fovea.shards import PreparedData
else:
    pd = SimpleNamespace(DataFrame=Any)  # Kedro evaluates the hints of every node when it starts
    PreparedData = Any


def crossval(
    prepared: PreparedData, crossval: dict[str, Any], evaluate: dict[str, Any], *sections: Any
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Trains the configured model once a fold and judges it on the fold that was held out.

    Args:
        prepared: The data.
        crossval: The section `crossval` of the config.
        evaluate: The section `evaluate` of the config.
        sections: The sections of the config named by `SECTIONS`, in that order.

    Returns:
        The summary, a row a fold, a row a picture.
    """
    from fovea.config.schema import CrossvalConfig, EvaluateConfig, parse
    from fovea.evaluation.crossval import cross_validate
    from fovea.training.job import TrainJob

    job = TrainJob.parse(dict(zip(SECTIONS, sections, strict=True)))
    result = cross_validate(
        prepared, job, parse(CrossvalConfig, crossval, "crossval"), parse(EvaluateConfig, evaluate, "evaluate")
    )
    return result.summary, result.folds, result.predictions
