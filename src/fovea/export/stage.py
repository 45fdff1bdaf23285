"""The export stage: a trained model in, a checked ONNX model out, into the model's MLflow run."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from fovea import tracking
from fovea.core.digest import file_digest
from fovea.core.files import explained
from fovea.evaluation.fit import check_model
from fovea.evaluation.infer import logits
from fovea.evaluation.view import view_of
from fovea.export.handle import OnnxModel
from fovea.export.onnx import INPUT, OUTPUT, check_installed, onnx_logits, write_onnx
from fovea.export.parity import Parity, parity, require

if TYPE_CHECKING:
    from fovea.config.schema import ExportConfig
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel

log = logging.getLogger("fovea")


def export(prepared: PreparedData, model: TrainedModel, config: ExportConfig) -> OnnxModel:
    """Writes a model as ONNX and compares it with the original on all test pictures.

    Raises:
        UserError: A package is missing, or the model does not fit the data.
        RunError: The exported model differs from the original.
    """
    check_installed()
    check_model(prepared, model)
    with tracking.stage("export", record=model.path / "run.json") as run:
        exported = OnnxModel.scratch()
        network, data = model.network(), model.facts["data"]
        write_onnx(
            network,
            exported.file,
            channels=data["channels"],
            image_size=data["image_size"],
            opset=config.opset,
            facts=description(model),
        )
        test, view = prepared.split("test"), view_of(model)
        found = parity(
            logits(network, test, view, config.batch_size),
            onnx_logits(exported.file, test, view, config.batch_size),
            test.labels,
        )
        require(found, config.tolerance)
        _write_facts(exported, model, config, found)
        run.log_artifacts(exported.path, "export")
        log.info(
            "export: %s answers as the original on %d pictures (largest difference of a logit %.2g)",
            exported.file.name,
            found.pictures,
            found.largest_logit_difference,
        )
    return exported


def description(model: TrainedModel) -> dict[str, str]:
    """What a user of the file must know, as texts for its `metadata_props`."""
    data = model.facts["data"]
    side, colours = data["image_size"], "grey" if data["channels"] == 1 else "RGB"
    return {
        "classes": json.dumps(data["classes"], ensure_ascii=False),
        "input": f"{INPUT}: uint8 [batch, {data['channels']}, {side}, {side}], {colours}, 0 to 255, normalised inside",
        "output": f"{OUTPUT}: float32 [batch, {len(data['classes'])}], softmax gives probabilities",
        "run_name": model.facts["run_name"],
        "data": data["name"],
        "data_digest": str(model.facts.get("data_digest", "")),
    }


def _write_facts(exported: OnnxModel, model: TrainedModel, config: ExportConfig, found: Parity) -> None:
    facts = description(model) | {
        "classes": model.facts["data"]["classes"],
        "file": exported.file.name,
        "opset": config.opset,
        "sha256": file_digest(exported.file),
        "parity": found.plain() | {"tolerance": config.tolerance},
    }
    path = exported.path / "export.json"
    with explained(f"writing {path}"):
        path.write_text(json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
