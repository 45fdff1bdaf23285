"""Nodes of the train pipeline."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from fovea.shards import PreparedData
    from fovea.training import TrainedModel
else:
    pd = SimpleNamespace(DataFrame=Any)  # Kedro evaluates the hints of every node when it starts
    PreparedData = TrainedModel = Any

SECTIONS = (
    "seed",
    "data",
    "loader",
    "augment",
    "model",
    "optimizer",
    "schedule",
    "loss",
    "finetune",
    "trainer",
    "callbacks",
)


def train(prepared: PreparedData, *sections: Any) -> tuple[TrainedModel, pd.DataFrame]:
    """Trains the model that the config describes.

    Args:
        prepared: The data.
        sections: The sections of the config named by `SECTIONS`, in that order.

    Returns:
        The trained model, and its history: a row an epoch.
    """
    import pandas as pd

    from fovea.training.job import TrainJob
    from fovea.training.stage import train as train_job

    model = train_job(TrainJob.parse(dict(zip(SECTIONS, sections, strict=True))), prepared)
    return model, pd.DataFrame(model.history())
