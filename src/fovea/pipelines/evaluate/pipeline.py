"""The evaluate pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.evaluate.nodes import evaluate


def create_pipeline() -> Pipeline:
    """A trained model and prepared data to metrics, predictions and a report."""
    inputs = ["prepared", "model", "history", "params:data", "params:evaluate"]
    outputs = ["predictions", "metrics", "confusion", "report"]
    return Pipeline([node(evaluate, inputs, outputs, name="evaluate", tags=["evaluate"])])
