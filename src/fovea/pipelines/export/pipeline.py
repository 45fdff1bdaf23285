"""The export pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.export.nodes import export


def create_pipeline() -> Pipeline:
    """A trained model and prepared data to a checked ONNX model."""
    return Pipeline([node(export, ["prepared", "model", "params:export"], "onnx", name="export", tags=["export"])])
