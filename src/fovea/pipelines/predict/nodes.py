"""Nodes of the predict pipeline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from fovea.prediction import PredictionPage
    from fovea.training import TrainedModel
else:
    pd = SimpleNamespace(DataFrame=Any)  # Kedro evaluates the hints of every node when it starts
    TrainedModel = PredictionPage = Any


def predict(model: TrainedModel | None, predict: dict[str, Any]) -> tuple[pd.DataFrame, PredictionPage]:
    """Classifies the pictures of `predict.source`.

    Args:
        model: The trained model; None where `predict.model` names another.
        predict: The section `predict` of the config.

    Returns:
        The table and the page; see `fovea.prediction.stage.predict`.
    """
    from fovea.config.schema import PredictConfig, parse
    from fovea.prediction import stage

    return stage.predict(model, parse(PredictConfig, predict, "predict"))
