"""Image classification you can account for: Kedro pipelines, Lightning training, MLflow runs, DVC versions."""

import os

__version__ = "0.1.0"

# No library calls out on its own. The variables must be set before the libraries are imported, and every entry point
# (kedro, the training worker, a notebook) imports this package first. MLflow understands the word "true" only.
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DVC_NO_ANALYTICS", "true")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
