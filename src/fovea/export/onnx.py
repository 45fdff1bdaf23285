"""A network as an ONNX file, with its class names beside the weights."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.errors import UserError
from fovea.core.files import explained
from fovea.serving.runner import INPUT, OUTPUT

if TYPE_CHECKING:
    from torch import Tensor, nn

_NEEDED = ("onnx", "onnxscript", "onnxruntime")


def check_installed() -> None:
    """Refuses to go on without the packages of the extra `export`.

    Raises:
        UserError: One is not installed.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"exporting needs {' and '.join(missing)}, not installed: pip install 'fovea[export]'")


def write_onnx(network: nn.Module, path: Path, *, example: Tensor, opset: int, facts: Mapping[str, str]) -> None:
    """Writes a network from pictures [batch, C, H, W] of any batch to float32 logits.

    Args:
        network: In eval mode, on the CPU.
        path: The file to write.
        example: At least two pictures of the type and size that the network takes: the size of a dimension that is 1
            in the example counts as fixed.
        opset: Version of ONNX's operators.
        facts: Plain texts kept in the file's `metadata_props`.

    Raises:
        RunError: The disk is full.
    """
    import torch

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
