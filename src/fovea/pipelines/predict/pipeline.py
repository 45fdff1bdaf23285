"""The predict pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.predict.nodes import predict


def create_pipeline() -> Pipeline:
    """A trained model and a folder of pictures to a table of predictions."""
    inputs = ["model", "params:predict"]
    return Pipeline([node(predict, inputs, "prediction_table", name="predict", tags=["predict"])])
