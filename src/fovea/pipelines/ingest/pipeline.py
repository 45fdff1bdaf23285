"""The ingest pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from fovea.pipelines.ingest.nodes import ingest


def create_pipeline() -> Pipeline:
    """The config of a data set to its verified source files."""
    return Pipeline([node(ingest, ["params:data"], "source", name="ingest", tags=["ingest"])])
