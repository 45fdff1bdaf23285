"""The sections of what is done with a trained model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fovea.config.schema.base import Count, Fraction, Positive, Section, Text


class ExportConfig(Section):
    """In which forms a model leaves, and how much they may differ from the original.

    Attributes:
        opset: Version of ONNX's operators.
        preprocessing: Where pixels are normalised: `inside` the file, which takes bytes of 0 to 255, or `beside` it,
            with the numbers in `export.json`.
        int8: Also an ONNX file of 8-bit weights and activations.
        calibration_pictures: Training pictures, at most, that tell the ranges of its activations.
        torch_export: Also a program of `torch.export`.
        pyfunc: Also an MLflow model, which takes encoded pictures: `mlflow models serve`.
        batch_size: Pictures per batch of the comparison with the original.
        tolerance: Largest absolute difference of a logit from the original's.
        int8_tolerance: Largest share of the test pictures that the accuracy of the 8-bit file may be lower by.
    """

    opset: Annotated[int, Field(ge=18, le=23)]
    preprocessing: Literal["inside", "beside"]
    int8: bool
    calibration_pictures: Count
    torch_export: bool
    pyfunc: bool
    batch_size: Count
    tolerance: Positive
    int8_tolerance: Fraction


class PredictConfig(Section):
    """Which pictures the predict pipeline classifies.

    Attributes:
        source: A folder, read with all its subfolders; null: none yet, and the pipeline refuses to run.
        batch_size: Pictures decoded and classified at a time.
    """

    source: Text | None
    batch_size: Count
