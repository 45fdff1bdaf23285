"""The predict pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.predict.nodes import predict


def create_pipeline() -> Pipeline:
    """A model and pictures to a table and a page of predictions."""
    inputs = ["model", "params:predict"]
    outputs = ["prediction_table", "prediction_page"]
    return Pipeline([node(predict, inputs, outputs, name="predict", tags=["predict"])])
