"""The ensemble pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.ensemble.nodes import find, measure
from fovea.pipelines.train.nodes import SECTIONS


def create_pipeline() -> Pipeline:
    """Prepared data and trained models to what these are worth together."""
    inputs = ["prepared", "members", "params:ensemble", "params:evaluate"]
    inputs += [f"params:{section}" for section in SECTIONS]
    outputs = ["ensemble", "ensemble_members", "ensemble_predictions"]
    return Pipeline(
        [
            node(find, ["params:ensemble"], "members", name="ensemble_find", tags=["ensemble"]),
            node(measure, inputs, outputs, name="ensemble", tags=["ensemble"]),
        ]
    )
