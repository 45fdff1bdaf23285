"""How a model leaves the house: ONNX, checked against the original."""

from fovea.export.handle import OnnxModel

__all__ = ["OnnxModel"]
