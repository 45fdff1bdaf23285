"""The folder of an exported model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fovea.evaluation.folder import FolderHandle


@dataclass(frozen=True)
class OnnxModel(FolderHandle):
    """The folder with `model.onnx` and `export.json`, which tells its input, its output and how it was checked."""

    kind: ClassVar[str] = "an exported model"
    mark: ClassVar[str] = "model.onnx"
    stage: ClassVar[str] = "export"

    @property
    def file(self) -> Path:
        """The ONNX file."""
        return self.path / self.mark
