"""The crossval pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.crossval.nodes import crossval
from fovea.pipelines.train.nodes import SECTIONS


def create_pipeline() -> Pipeline:
    """Prepared data to an estimate by cross-validation."""
    inputs = ["prepared", "params:crossval", "params:evaluate", *(f"params:{section}" for section in SECTIONS)]
    outputs = ["crossval", "crossval_folds", "out_of_fold"]
    return Pipeline([node(crossval, inputs, outputs, name="crossval", tags=["crossval"])])
