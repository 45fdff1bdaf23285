"""The registered pipelines: one a stage, and `__default__`, which goes from source files to a measured model."""

from __future__ import annotations

from importlib import import_module

from kedro.pipeline import Pipeline

STAGES = ("ingest", "prepare", "train", "evaluate", "export", "predict")
DEFAULT = STAGES[:4]
NAMES = ("__default__", *STAGES)


def register_pipelines() -> dict[str, Pipeline]:
    """Every pipeline by name. Nodes import their libraries when they run, so that this stays cheap."""
    stages: dict[str, Pipeline] = {
        name: import_module(f"fovea.pipelines.{name}.pipeline").create_pipeline() for name in STAGES
    }
    return {"__default__": sum((stages[name] for name in DEFAULT), Pipeline([])), **stages}
