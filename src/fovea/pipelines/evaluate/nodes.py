"""Nodes of the evaluate pipeline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from fovea.evaluation import Report
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel
else:
    pd = SimpleNamespace(DataFrame=Any)  # Kedro evaluates the hints of every node when it starts
    PreparedData = Report = TrainedModel = Any


def evaluate(
    prepared: PreparedData,
    model: TrainedModel,
    history: pd.DataFrame,
    data: dict[str, Any],
    evaluate: dict[str, Any],
) -> tuple[pd.DataFrame, dict[str, float], pd.DataFrame, Report]:
    """Tests the model on the held-out pictures.

    Args:
        prepared: The data.
        model: The trained model.
        history: A row an epoch of its training.
        data: The section `data` of the config.
        evaluate: The section `evaluate` of the config.

    Returns:
        Predictions (a row a test picture), metrics by name, actual and predicted class of each, the report.
    """
    from fovea.config.schema import DataConfig, EvaluateConfig, parse
    from fovea.evaluation.stage import evaluate as evaluate_model

    config = parse(EvaluateConfig, evaluate, "evaluate")
    result = evaluate_model(prepared, model, history, parse(DataConfig, data, "data"), config)
    return result.predictions, result.metrics, result.confusion, result.report
