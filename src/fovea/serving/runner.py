"""An ONNX file in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fovea.serving.scaling import Scaling

INPUT, OUTPUT = "images", "logits"


class OnnxRunner:
    """An ONNX file in onnxruntime on the CPU. Several threads may call it at once.

    Args:
        path: The file.
        scaling: What is done to pixels first, of a file that has no normalisation inside.
    """

    def __init__(self, path: Path, scaling: Scaling | None = None) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._scaling = scaling

    @property
    def facts(self) -> dict[str, str]:
        """The texts in the file's metadata."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    @property
    def input_shape(self) -> list[int | str]:
        """[B, C, H, W] of what it takes; a dimension of any size is a name."""
        shape: list[int | str] = self._session.get_inputs()[0].shape
        return shape

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits float32 [B, K] of pixels [B, C, H, W] of 0..255."""
        images = pixels if self._scaling is None else self._scaling(pixels)
        logits: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: images})[0]
        return logits
