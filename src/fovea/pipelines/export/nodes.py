"""Nodes of the export pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.export import OnnxModel
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel
else:
    OnnxModel = PreparedData = TrainedModel = Any  # Kedro evaluates the hints of every node when it starts


def export(prepared: PreparedData, model: TrainedModel, export: dict[str, Any]) -> OnnxModel:
    """Writes the model as ONNX and checks that it answers as the original does.

    Args:
        prepared: The data whose test pictures both must agree on.
        model: The trained model.
        export: The section `export` of the config.

    Returns:
        The folder with `model.onnx` and `export.json`.
    """
    from fovea.config.schema import ExportConfig, parse
    from fovea.export.stage import export as export_model

    return export_model(prepared, model, parse(ExportConfig, export, "export"))
