"""Nodes of the predict pipeline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from fovea.training import TrainedModel
else:
    pd = SimpleNamespace(DataFrame=Any)  # Kedro evaluates the hints of every node when it starts
    TrainedModel = Any


def predict(model: TrainedModel, predict: dict[str, Any]) -> pd.DataFrame:
    """Classifies every picture below `predict.source`.

    Args:
        model: The trained model.
        predict: The section `predict` of the config.

    Returns:
        A row a picture; see `fovea.evaluation.predict.predict_folder`.
    """
    from fovea.config.schema import PredictConfig, parse
    from fovea.evaluation.predict import predict_folder

    config = parse(PredictConfig, predict, "predict")
    return predict_folder(model, config.source, config.batch_size)
