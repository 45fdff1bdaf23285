"""The sections of what is done with a trained model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fovea.config.schema.base import Count, Fraction, Name, Positive, Section, Share, Text, Whole


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
    """Which pictures the predict pipeline classifies, and by which model.

    Attributes:
        source: A folder, read with all its subfolders, a pattern of paths, a zip archive, a CSV table with the column
            `path`, or a picture; null: none yet, and the pipeline refuses to run.
        model: A folder or file of a model, an MLflow run, or ``models:/NAME@alias``; null: the model of the last run.
        temperature: That logits are divided by before they become probabilities; `auto`: that of the model's run.
        top_k: Most probable classes of each picture in the table.
        gallery: Pictures of each kind shown on the page, at most.
        batch_size: Pictures decoded and classified at a time.
    """

    source: Text | None
    model: Text | None
    temperature: Literal["auto"] | Positive
    top_k: Count
    gallery: Whole
    batch_size: Count


class RegistryConfig(Section):
    """Under which name a model is registered, and what its card says that no run can know.

    Attributes:
        name: Of the registered model; None: the name of the data.
        licence: Of the model, an identifier as in `apache-2.0`; None: the card says that it is unknown.
        intended_use: What the model is meant for; None: unknown.
        limitations: What it is not fit for, beside what the run shows; None: nothing is added.
    """

    name: Name | None
    licence: Name | None
    intended_use: Text | None
    limitations: Text | None


class PromoteConfig(Section):
    """What a challenger must show to become the champion.

    Attributes:
        confidence: Coverage of the interval of the accuracy difference; 1 minus it is the level of McNemar's test.
        test: What shows that the challenger is better: McNemar's exact test, or the bootstrap's interval above 0.
        margin: Part of the test pictures by which a cheaper challenger may be worse, at most.
        cost: What makes it cheaper: the numbers that it has learnt, or the time for one picture on this CPU.
        max_cost_ratio: Its cost over the champion's, at most, to count as cheaper.
        min_acc: Least accuracy.
        min_class_recall: Least recall of its worst class.
        max_ece: Largest expected calibration error of the probabilities that are served.
    """

    confidence: Share
    test: Literal["mcnemar", "bootstrap"]
    margin: Fraction
    cost: Literal["parameters", "latency"]
    max_cost_ratio: Fraction
    min_acc: Fraction
    min_class_recall: Fraction
    max_ece: Fraction
