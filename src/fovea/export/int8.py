"""An ONNX file with weights and activations of 8 bits.

Static quantisation: each tensor's range is that which it had on some pictures (Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 2). The weights of each
output channel have a range of their own, and one bit less than there is: without it, processors that add pairs of
products in 16 bits (x86 without VNNI) saturate, and answers depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.files import explained
from fovea.export.quiet import quiet
from fovea.serving.runner import INPUT

# The multiplications, and what passes their results on; the normalisation keeps its floats.
_QUANTISED = ["Conv", "Gemm", "MatMul", "MaxPool", "Relu", "Clip", "AveragePool", "Flatten", "Reshape"]


def write_int8(source: Path, path: Path, batches: Sequence[NDArray[Any]]) -> None:
    """Writes the 8-bit form of an ONNX file.

    Args:
        source: The file with float weights.
        path: The file to write.
        batches: What the file takes, [B, C, H, W] each, of pictures that the network may know already: never those that
            it is judged by.

    Raises:
        RunError: The disk is full.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[NDArray[Any]] = iter(batches)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            batch = next(self._left, None)
            return None if batch is None else {INPUT: np.ascontiguousarray(batch)}

    with explained(f"writing {path}"), quiet():
        quantize_static(
            source,
            path,
            Reader(),
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
