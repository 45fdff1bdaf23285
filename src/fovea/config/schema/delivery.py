"""The sections of what is done with a trained model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fovea.config.schema.base import Count, Positive, Section, Text


class ExportConfig(Section):
    """How a model is written as ONNX.

    Attributes:
        opset: Version of ONNX's operators.
        batch_size: Pictures per batch of the comparison with the original.
        tolerance: Largest absolute difference of a logit from the original's.
    """

    opset: Annotated[int, Field(ge=18, le=23)]
    batch_size: Count
    tolerance: Positive


class PredictConfig(Section):
    """Which pictures the predict pipeline classifies.

    Attributes:
        source: A folder, read with all its subfolders; null: none yet, and the pipeline refuses to run.
        batch_size: Pictures decoded and classified at a time.
    """

    source: Text | None
    batch_size: Count
