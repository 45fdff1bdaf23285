"""The train pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.train.nodes import SECTIONS, train


def create_pipeline() -> Pipeline:
    """Prepared data to a trained model and its history."""
    inputs = ["prepared", *(f"params:{section}" for section in SECTIONS)]
    return Pipeline([node(train, inputs, ["model", "history"], name="train", tags=["train"])])
