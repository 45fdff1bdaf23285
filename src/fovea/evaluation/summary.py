"""The last lines that a run prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def accuracy_line(metrics: Mapping[str, float], confidence: float) -> str:
    """`test accuracy 98.30 % (95 % interval 97.30 to 98.94, 1,000 pictures)`."""
    interval = interval_words(metrics["test/acc_low"], metrics["test/acc_high"], confidence)
    return f"test accuracy {100 * metrics['test/acc']:.2f} % ({interval}, {metrics['test/count']:,.0f} pictures)"


def metric_rows(metrics: Mapping[str, float]) -> list[tuple[str, float | None, float | None, float | None]]:
    """Name, value, and both ends of the interval where there is one, of each number."""
    names = [name for name in metrics if not name.endswith(("_low", "_high"))]
    return [(name, metrics[name], metrics.get(f"{name}_low"), metrics.get(f"{name}_high")) for name in names]


def interval_words(low: float, high: float, confidence: float) -> str:
    """`95 % interval 97.30 to 98.94`."""
    return f"{100 * confidence:g} % interval {100 * low:.2f} to {100 * high:.2f}"


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


def study_lines(
    name: str, summary: Mapping[str, Any], confidence: float, report: Path, table: Path, ui_command: str
) -> list[str]:
    """The same at the end of a run of several models.

    Args:
        name: crossval or ensemble.
        summary: Its numbers.
        confidence: `evaluate.confidence`.
        report: The file of the summary.
        table: The file with a row a model.
        ui_command: What opens the MLflow UI.
    """
    lines = [crossval_line(summary, confidence)] if name == "crossval" else ensemble_lines(summary)
    return [*lines, f"report  {report}", f"models  {table}", f"runs    {ui_command}"]


def crossval_line(summary: Mapping[str, Any], confidence: float) -> str:
    """`crossval: val/acc 99.05 % +- 0.21 (5 folds; pooled 99.05 %, 95 % interval 98.53 to 99.39, 2,006 pictures)`.

    Args:
        summary: As `cross_validate` gives it.
        confidence: `evaluate.confidence`.
    """
    interval = interval_words(summary["pooled/acc_low"], summary["pooled/acc_high"], confidence)
    return (
        f"crossval: val/acc {100 * summary['val/acc']:.2f} % +- {100 * summary['val/acc_std']:.2f} "
        f"({summary['folds']} folds; pooled {100 * summary['pooled/acc']:.2f} %, {interval}, "
        f"{summary['pooled/count']:,} pictures)"
    )


def ensemble_lines(summary: Mapping[str, Any]) -> list[str]:
    """`ensemble: soft 99.76 %, hard 99.74 %, best member 99.66 % (gain 0.10 points), 5 members, 1,234,567 parameters`.

    A second line where the member that validation chose, or that only the test pictures could choose, is not all there
    is to say.

    Args:
        summary: As `fovea.evaluation.ensemble.measure` gives it.
    """
    best, on_test = summary["best"], summary["best_on_test"]
    lines = [
        f"ensemble: soft {_percent(summary['test/acc'])}, hard {_percent(summary['test/acc_hard'])}, "
        f"best member {_percent(best['test/acc'])} ({_gain(best)}), "
        f"{len(summary['members'])} members, {summary['parameters']:,} parameters"
    ]
    if best["chosen_by"] != "val/acc":
        lines.append("          the best member is the best on the test pictures: none could be chosen by validation")
    elif best["test/acc"] < on_test["test/acc"]:
        better = f"{on_test['member']} {_percent(on_test['test/acc'])} ({_gain(on_test)})"
        lines.append(f"          validation chose the best member; the best on the test pictures is {better}")
    return lines


def _percent(part: float) -> str:
    return f"{100 * part:.2f} %"


def _gain(best: Mapping[str, Any]) -> str:
    return f"gain {100 * best['gain']:.2f} points"
