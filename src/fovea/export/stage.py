"""The export stage: a trained model in, checked files out that need less than it did, into the model's MLflow run."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.core.files import explained
from fovea.evaluation.fit import check_model
from fovea.evaluation.infer import logits
from fovea.evaluation.view import view_of
from fovea.export.forms import Form, Trial, calibration
from fovea.export.handle import OnnxModel
from fovea.export.int8 import write_int8
from fovea.export.onnx import check_installed, write_onnx
from fovea.export.origin import Origin
from fovea.export.parity import require, require_accuracy
from fovea.export.program import ProgramRunner, write_program
from fovea.export.pyfunc import FOLDER as PYFUNC
from fovea.export.pyfunc import transforms_of, write_pyfunc
from fovea.serving.runner import INPUT, OUTPUT, OnnxRunner
from fovea.serving.scaling import Scaling
from fovea.training.result import RECORD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from fovea.config.schema import ExportConfig
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel

log = logging.getLogger("fovea")


def export(prepared: PreparedData, model: TrainedModel, config: ExportConfig) -> OnnxModel:
    """Writes a model in the forms that the config asks for and compares each with the original on all test pictures.

    Raises:
        UserError: A package is missing, the model does not fit the data, or there is no picture to calibrate with.
        RunError: An exported file differs from the original.
    """
    check_installed()
    check_model(prepared, model)
    with tracking.stage("export", record=model.path / RECORD) as run:
        exported, network = OnnxModel.scratch(), model.network()
        test, view = prepared.split("test"), view_of(model)
        trial = Trial(test, view, config.batch_size, logits(network, test, view, config.batch_size))
        scaling = Scaling.of(network) if config.preprocessing == "beside" else None
        origin = Origin.of(model.path / RECORD)
        facts = description(model, scaling, origin)
        forms = []
        for form in _forms(exported.path, network, trial, prepared, facts, config, scaling):
            forms.append(form)
            log.info("export: %s", _sentence(form))
        if config.pyfunc:
            write_pyfunc(exported.path / PYFUNC, exported.file, model, scaling, view(test.image(0)), origin)
        eager = trial.milliseconds(_eager(network))
        _write_facts(exported, facts, config, forms, eager, scaling)
        run.log_artifacts(exported.path, "export")
        run.log_metrics({name: value for form in forms for name, value in form.metrics().items()})
        run.log_metrics({"export/eager/milliseconds": eager})
        log.info("export: one picture takes %.2f ms in PyTorch, %.2f ms in onnxruntime", eager, forms[0].milliseconds)
    return exported


def _forms(
    folder: Path,
    network: nn.Module,
    trial: Trial,
    prepared: PreparedData,
    facts: Mapping[str, str],
    config: ExportConfig,
    scaling: Scaling | None,
) -> Iterator[Form]:
    """The forms that the config asks for, written and found in order, the float ONNX file first."""
    bare: Any = network if scaling is None else network.net
    inputs: Any = {"example": _example(trial.batch(0).shape, raw=scaling is None), "facts": facts}
    path = folder / OnnxModel.mark
    write_onnx(bare, path, opset=config.opset, **inputs)
    plain = trial.of("onnx", path, OnnxRunner(path, scaling))
    require(path.name, plain.parity, config.tolerance)
    yield plain
    if config.int8:
        small = folder / "model.int8.onnx"
        # Pictures that the network knows: those of the test must not help.
        pixels = calibration(prepared.split("train"), trial.view, config.calibration_pictures)
        taken = pixels if scaling is None else scaling(pixels)
        write_int8(path, small, [taken[i : i + 32] for i in range(0, len(taken), 32)])
        quantised = trial.of("onnx_int8", small, OnnxRunner(small, scaling))
        require_accuracy(small.name, quantised.parity, config.int8_tolerance)
        yield quantised
    if config.torch_export:
        program = folder / "model.pt2"
        write_program(bare, program, **inputs)
        found = trial.of("torch_export", program, ProgramRunner(program, scaling))
        require(program.name, found.parity, config.tolerance)
        yield found


def description(model: TrainedModel, scaling: Scaling | None, origin: Origin) -> dict[str, str]:
    """What a user of a file must know, as texts for its metadata."""
    data = model.facts["data"]
    side, colours = data["image_size"], "grey" if data["channels"] == 1 else "RGB"
    shape = f"[batch, {data['channels']}, {side}, {side}], {colours}"
    taken = f"uint8 {shape}, 0 to 255, normalised inside"
    if scaling is not None:
        taken = f"float32 {shape}, pixels of 0 to 255 times scale plus shift of their channel"
    return {
        "classes": json.dumps(data["classes"], ensure_ascii=False),
        "input": f"{INPUT}: {taken}",
        **({} if scaling is None else {key: json.dumps(value) for key, value in scaling.plain().items()}),
        "output": f"{OUTPUT}: float32 [batch, {len(data['classes'])}], softmax gives probabilities",
        "transforms": json.dumps(transforms_of(model.facts)),
        "run_name": model.facts["run_name"],
        **origin.texts(),
        "data": data["name"],
        "data_digest": str(model.facts.get("data_digest", "")),
    }


def _example(batch: Sequence[int], *, raw: bool) -> Any:
    """Two pictures like those of a batch [B, C, H, W]."""
    import torch

    return torch.zeros(2, *batch[1:], dtype=torch.uint8 if raw else torch.float32)


def _eager(network: nn.Module) -> Any:
    import torch

    def answers(pixels: NDArray[np.uint8]) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(pixels)).numpy()

    return answers


def _sentence(form: Form) -> str:
    found = form.parity
    gained = found.accuracy_exported - found.accuracy_pytorch
    word = f"by {abs(gained):.4f} {'more' if gained > 0 else 'less'} accurate than" if gained else "as accurate as"
    return (
        f"{form.file} is {word} the original on {found.pictures} pictures (largest difference of a logit "
        f"{found.largest_logit_difference:.2g})"
    )


def _write_facts(
    exported: OnnxModel,
    known: Mapping[str, str],
    config: ExportConfig,
    forms: list[Form],
    eager: float,
    scaling: Scaling | None,
) -> None:
    facts: dict[str, Any] = {**known, **(scaling.plain() if scaling else {})}
    facts |= {
        **{key: json.loads(known[key]) for key in ("classes", "transforms", "temperature")},
        "opset": config.opset,
        "preprocessing": config.preprocessing,
        "files": {form.file: form.sha256 for form in forms},
        "parity": {form.file: form.parity.plain() for form in forms},
        "tolerance": config.tolerance,
    }
    original = {"form": "pytorch", "file": "", "milliseconds": round(eager, 4)}
    path, table = exported.path / "export.json", exported.path / "forms.csv"
    with explained(f"writing {path}"):
        path.write_text(json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        with table.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(forms[0].row()), lineterminator="\n")
            writer.writeheader()
            writer.writerows([original, *(form.row() for form in forms)])
