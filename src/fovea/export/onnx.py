"""A network as an ONNX file, with its normalisation inside and its class names beside the weights."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import UserError
from fovea.core.files import explained
from fovea.evaluation.infer import pictures

if TYPE_CHECKING:
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.shards import Split

INPUT, OUTPUT = "images", "logits"
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


def check_installed() -> None:
    """Refuses to go on without the packages of the extra `export`.

    Raises:
        UserError: One is not installed.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"exporting needs {' and '.join(missing)}, not installed: pip install 'fovea[export]'")


def write_onnx(
    network: nn.Module, path: Path, *, channels: int, image_size: int, opset: int, facts: Mapping[str, str]
) -> None:
    """Writes a network from uint8 [batch, channels, image_size, image_size] of any batch to float32 logits.

    Args:
        network: In eval mode, on the CPU.
        path: The file to write.
        channels: Channels of the pictures.
        image_size: Height and width of the pictures in pixels.
        opset: Version of ONNX's operators.
        facts: Plain texts kept in the file's `metadata_props`.

    Raises:
        RunError: The disk is full.
    """
    import torch

    # Two pictures: the size of a dimension that is 1 in the example counts as fixed.
    example = torch.zeros(2, channels, image_size, image_size, dtype=torch.uint8)
    with warnings.catch_warnings():
        # The exporter's own use of deprecated parts of torch, which a user cannot act on.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch|onnxscript|copyreg")
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch|onnxscript|copyreg")
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=opset,
            verbose=False,
        )
    if program is None:
        raise TypeError("torch.onnx.export(dynamo=True) gave no program")
    _clean(program.model)
    program.model.metadata_props.update(facts)
    with explained(f"writing {path}"):
        program.save(path)


def _clean(model: Any) -> None:
    """Removes the exporter's notes, which hold stack traces with the paths of this machine."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


def onnx_logits(path: Path, split: Split, view: Augmenter, batch_size: int) -> NDArray[np.float32]:
    """Logits float32 [N, K] that onnxruntime computes for a split on the CPU, row i of picture i as `view` shows it."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    parts = []
    for start in range(0, len(split), batch_size):
        images = np.ascontiguousarray(pictures(split, view, start, batch_size).transpose(0, 3, 1, 2))
        parts.append(session.run([OUTPUT], {INPUT: images})[0])
    logits: NDArray[np.float32] = np.concatenate(parts)
    return logits
