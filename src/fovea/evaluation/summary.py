"""The last lines that a run prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def accuracy_line(metrics: Mapping[str, float], confidence: float) -> str:
    """`test accuracy 98.30 % (95 % interval 97.30 to 98.94, 1,000 pictures)`."""
    low, high = (100 * metrics[f"test/acc_{end}"] for end in ("low", "high"))
    interval = f"{100 * confidence:g} % interval {low:.2f} to {high:.2f}"
    return f"test accuracy {100 * metrics['test/acc']:.2f} % ({interval}, {metrics['test/count']:,.0f} pictures)"


def closing_lines(
    metrics: Mapping[str, float], confidence: float, model: Path, report: Path, ui_command: str
) -> list[str]:
    """What a person wants to know at the end of a run, a line each.

    Args:
        metrics: As the evaluate stage gives them.
        confidence: `evaluate.confidence`.
        model: The folder of the trained model.
        report: The folder of the report.
        ui_command: What opens the MLflow UI.
    """
    return [
        accuracy_line(metrics, confidence),
        f"model   {model}",
        f"report  {report / 'report.html'}",
        f"runs    {ui_command}",
    ]
