"""The registered pipelines: one a stage, `__default__` from source files to a measured model, and studies of many."""

from __future__ import annotations

from importlib import import_module

from kedro.pipeline import Pipeline

STAGES = ("ingest", "prepare", "train", "evaluate", "export", "predict")
DEFAULT = STAGES[:4]
STUDIES = ("crossval", "ensemble")
"""Of several models; each begins with the data, so that one command does all."""
NAMES = ("__default__", *STAGES, *STUDIES)


def register_pipelines() -> dict[str, Pipeline]:
    """Every pipeline by name. Nodes import their libraries when they run, so that this stays cheap."""
    stages: dict[str, Pipeline] = {
        name: import_module(f"fovea.pipelines.{name}.pipeline").create_pipeline() for name in (*STAGES, *STUDIES)
    }
    data = stages["ingest"] + stages["prepare"]
    studies = {name: data + stages[name] for name in STUDIES}
    return {"__default__": sum((stages[name] for name in DEFAULT), Pipeline([])), **stages, **studies}
