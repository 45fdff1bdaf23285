"""The prepare pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.prepare.nodes import prepare


def create_pipeline() -> Pipeline:
    """Source files to a prepared data set."""
    inputs = ["source", "params:data", "params:prepare"]
    return Pipeline([node(prepare, inputs, "prepared", name="prepare", tags=["prepare"])])
