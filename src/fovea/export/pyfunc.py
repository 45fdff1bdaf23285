"""The model as MLflow's python function, without a pickle: what `mlflow models serve` starts and the registry keeps."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fovea
from fovea.core.files import explained
from fovea.export.origin import UNKNOWN, Origin
from fovea.export.quiet import quiet
from fovea.pictures.pillow import packed
from fovea.serving.classifier import FACTS, ONNX
from fovea.serving.pyfunc import COLUMN

if TYPE_CHECKING:
    from fovea.serving.scaling import Scaling
    from fovea.training import TrainedModel

FOLDER = "pyfunc"
_CARRIED = ("__init__.py", "core/__init__.py", "core/errors.py", "pictures", "augment", "serving")
_NEEDED = ("mlflow", "numpy", "onnxruntime", "opencv-python-headless", "pandas", "pillow", "simplejpeg")
_FOR_TRANSFORMS = ("albumentations", "albucore", "simsimd", "stringzilla")


def write_pyfunc(
    folder: Path,
    onnx: Path,
    model: TrainedModel,
    scaling: Scaling | None,
    example: NDArray[np.uint8],
    origin: Origin = UNKNOWN,
) -> None:
    """Writes the folder that MLflow loads.

    Args:
        folder: To be made.
        onnx: The checked file.
        model: Where it comes from.
        scaling: The normalisation of a file that has none inside.
        example: A picture, uint8 [H, W, C], that shows what a request looks like.
        origin: The model's run.

    Raises:
        RunError: The disk is full.
    """
    import mlflow.pyfunc
    import pandas as pd

    facts = {**classifier_facts(model.facts, scaling), **origin.plain()}
    with explained(f"writing {folder}"), tempfile.TemporaryDirectory(prefix="fovea-") as scratch:
        data, code = Path(scratch) / "classifier", Path(scratch) / "fovea"
        data.mkdir()
        shutil.copyfile(onnx, data / ONNX)
        (data / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _copy_code(code)
        with quiet():
            mlflow.pyfunc.save_model(
                folder,
                loader_module="fovea.serving.pyfunc",
                data_path=str(data),
                code_paths=[str(code)],
                pip_requirements=requirements(bool(facts["transforms"])),
                signature=_signature(),
                input_example=pd.DataFrame({COLUMN: [base64.b64encode(packed(example)).decode()]}),
                metadata={key: facts[key] for key in ("classes", "run_name", "data", "data_digest")},
            )


def classifier_facts(facts: Mapping[str, Any], scaling: Scaling | None) -> dict[str, Any]:
    """What the classifier must know beside the ONNX file."""
    data = facts["data"]
    return {
        "classes": data["classes"],
        "channels": data["channels"],
        "image_size": data["image_size"],
        "transforms": transforms_of(facts),
        "scaling": None if scaling is None else scaling.plain(),
        "run_name": facts["run_name"],
        "data": data["name"],
        "data_digest": str(facts.get("data_digest", "")),
    }


def transforms_of(facts: Mapping[str, Any]) -> list[Any]:
    """The transforms that pictures went through in the test, from the facts of a trained model."""
    found: list[Any] = facts.get("config", {}).get("augment", {}).get("eval", [])
    return found


def requirements(with_transforms: bool) -> list[str]:
    """The packages that the model runs with, as installed here; albumentations only where pictures go through it."""
    names = (*_NEEDED, *(_FOR_TRANSFORMS if with_transforms else ()))
    return [f"{name}=={version(name)}" for name in names]


def _copy_code(target: Path) -> None:
    source = Path(fovea.__file__).parent
    for name in _CARRIED:
        goal = target / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, goal, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source / name, goal)


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType, Map

    anything: Any = AnyType
    inputs: list[ColSpec | TensorSpec] = [ColSpec(anything(), COLUMN)]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "predicted"),
        ColSpec(DataType.double, "probability"),
        ColSpec(Map(DataType.double), "probabilities"),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))
