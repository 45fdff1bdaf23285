"""The forms in which a model lies on the disk: each brings its classes and its preprocessing with it.

Nothing in a file is run: tensors are read without pickle's code, ONNX is data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.core.errors import RunError, UserError
from fovea.prediction.predictor import Predictor, of_network
from fovea.training.result import FACTS, RECORD, WEIGHTS, TrainedModel

if TYPE_CHECKING:
    from fovea.augment import Augmenter
    from fovea.serving.runner import OnnxRunner

_CLASSIFIER, _MLMODEL, _ONNX, _JOB = "classifier.json", "MLmodel", "model.onnx", "resolved.yaml"
_TENSORS = (".safetensors", ".ckpt", ".pt", ".pth")
SUFFIXES = (".onnx", *_TENSORS)
"""Ends of the names of files that a model may be in."""


def open_path(path: Path) -> Predictor:
    """The model in a folder or a file.

    Raises:
        UserError: There is none, it is damaged, or nothing tells its classes and preprocessing.
    """
    try:
        return _open_folder(path) if path.is_dir() else _open_file(path)
    except RunError as error:
        raise UserError(f"predict.model: {error}") from error


def of_trained(model: TrainedModel) -> Predictor:
    """The model that a training has delivered.

    Raises:
        RunError: Its weights are missing, damaged, or of another network.
    """
    run_id = tracking.recorded_id(model.path / RECORD)
    return _of_facts(model.facts, model.network(), model.facts["run_name"], run_id)


def _open_folder(folder: Path) -> Predictor:
    if (folder / FACTS).is_file():
        return of_trained(TrainedModel.open(folder))
    if (folder / _CLASSIFIER).is_file():
        return _of_classifier(folder)
    if (folder / _MLMODEL).is_file():
        data = next(iter(sorted(folder.glob(f"data/*/{_CLASSIFIER}"))), None)
        if data is None:
            raise UserError(f"predict.model: the MLflow model '{folder}' was not exported by Fovea; name one that was")
        return _of_classifier(data.parent)
    if (folder / _ONNX).is_file():
        return _of_onnx(folder / _ONNX)
    hint = "a folder with model.json, model.onnx or MLmodel"
    if (folder / _JOB).is_file():
        hint = "one of the checkpoints in it, as in step-00000100.ckpt"
    raise UserError(f"predict.model: the folder '{folder}' holds no model; name {hint}")


def _open_file(path: Path) -> Predictor:
    if path.suffix == ".onnx":
        return _of_onnx(path)
    if path.suffix not in _TENSORS:
        raise UserError(f"predict.model: '{path}' is no model; models are read from {', '.join(SUFFIXES)} files")
    if path.name == WEIGHTS and (path.parent / FACTS).is_file():
        return of_trained(TrainedModel.open(path.parent))
    return _of_tensors(path)


def _of_tensors(path: Path) -> Predictor:
    """A checkpoint of a training, or other weights, with the facts of its network in the same folder."""
    from fovea.config.schema import DataConfig, ModelConfig, parse
    from fovea.models import tensors
    from fovea.training.network import build_network

    facts, source = _facts_beside(path)
    model = parse(ModelConfig, facts["model"], f"{source}: model")
    data = parse(DataConfig, facts["data"], f"{source}: data")
    network = build_network(model, data)
    found = tensors.without_prefix(tensors.read(path), set(network.state_dict()))
    try:
        network.load_state_dict(found)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(
            f"predict.model: '{path}' holds the weights of another network than '{source}' tells of ({reason}); name "
            "a file of this network"
        ) from error
    run_id = tracking.recorded_id(path.parent / RECORD)
    return _of_facts(facts, network.eval(), f"{facts['run_name']}, {path.name}", run_id)


def _facts_beside(path: Path) -> tuple[Mapping[str, Any], Path]:
    """What is known of a file of weights, and the file that says it: `model.json`, or a training's `resolved.yaml`."""
    facts, job = path.with_name(FACTS), path.with_name(_JOB)
    if facts.is_file():
        return TrainedModel.open(path.parent).facts, facts
    if not job.is_file():
        raise UserError(
            f"predict.model: '{path}' has weights alone, and neither {FACTS} nor {_JOB} beside it tells their network "
            "and classes; name the folder of a trained model, or put its model.json there"
        )
    import yaml

    try:
        sections = yaml.safe_load(job.read_text(encoding="utf-8"))["job"]
        return {
            **{key: sections[key] for key in ("model", "data")},
            "config": sections,
            "run_name": path.parent.name,
        }, job
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"predict.model: '{job}' cannot be read ({error!r}); name another model") from error


def _of_facts(facts: Mapping[str, Any], network: Any, words: str, run_id: str | None) -> Predictor:
    data = facts["data"]
    transforms = facts.get("config", {}).get("augment", {}).get("eval", [])
    view = _view(transforms, data["channels"], data["image_size"])
    return Predictor(words, data["classes"], data["channels"], view, of_network(network), run_id)


def _of_classifier(folder: Path) -> Predictor:
    """What `mlflow models serve` would serve."""
    from fovea.serving.scaling import Scaling

    path = folder / _CLASSIFIER
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        scaling = Scaling(**facts["scaling"]) if facts["scaling"] else None
        view = _view(facts["transforms"], facts["channels"], facts["image_size"])
        classes, channels, words = list(facts["classes"]), int(facts["channels"]), str(facts.get("run_name", folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"predict.model: '{path}' cannot be read ({error!r}); export the model again") from error
    runner = _runner(folder / _ONNX, scaling)
    found = {"run_id": facts.get("run_id"), "temperature": facts.get("temperature")}
    return Predictor(words, classes, channels, view, _of_runner(runner), **found)


def _of_onnx(path: Path) -> Predictor:
    """An ONNX file of `kedro run --pipelines=export`, whose metadata say what it is."""
    from fovea.serving.scaling import Scaling

    runner = _runner(path, None)
    facts, shape = runner.facts, runner.input_shape
    if "classes" not in facts:
        raise UserError(
            f"predict.model: '{path}' names no classes in its metadata, so that it was not exported by Fovea; name a "
            "file that `kedro run --pipelines=export` wrote"
        )
    try:
        classes = json.loads(facts["classes"])
        _, channels, side, width = shape
        view = _view(json.loads(facts.get("transforms", "[]")), int(channels), int(side))
        temperature = json.loads(facts.get("temperature", "null"))
        scaling = Scaling(json.loads(facts["scale"]), json.loads(facts["shift"])) if "scale" in facts else None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"predict.model: the metadata of '{path}' cannot be read ({error!r}); export again") from error
    if side != width:
        raise UserError(f"predict.model: '{path}' takes pictures of {side}x{width} pixels; only squares are made")
    if scaling is not None:
        runner = _runner(path, scaling)
    words = facts.get("run_name", path.name)
    run_id = facts.get("run_id") or None
    return Predictor(words, classes, int(channels), view, _of_runner(runner), run_id, temperature)


def _view(transforms: Any, channels: int, image_size: int) -> Augmenter:
    from fovea.augment import Augmenter

    # Not tried on noise: they have served, and what size the pictures will be is not known here.
    return Augmenter(transforms, channels=channels, image_size=image_size, where="augment.eval", fixed=True)


def _runner(path: Path, scaling: Any) -> OnnxRunner:
    from fovea.serving.runner import OnnxRunner

    try:
        return OnnxRunner(path, scaling)
    except ImportError:
        raise UserError("an ONNX file needs onnxruntime, not installed: pip install 'fovea[export]'") from None
    except Exception as error:  # onnxruntime's errors have no common type
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"predict.model: '{path}' is no ONNX file or is damaged ({first}); export again") from error


def _of_runner(runner: OnnxRunner) -> Any:
    import numpy as np

    return lambda pictures: runner(np.array(pictures.transpose(0, 3, 1, 2), order="C"))
