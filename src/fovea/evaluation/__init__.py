"""What a trained model is worth: inference, metrics with intervals, pictures, one report."""

from fovea.evaluation.report import Report

__all__ = ["Report"]
