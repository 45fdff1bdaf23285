"""The lines that end a run."""

from __future__ import annotations

from pathlib import Path

from fovea.evaluation.summary import closing_lines


def test_closing_lines_tell_accuracy_model_report_and_ui() -> None:
    metrics = {"test/acc": 0.983, "test/acc_low": 0.97294, "test/acc_high": 0.98936, "test/count": 1000}
    lines = closing_lines(metrics, 0.95, Path("data/06_models/model"), Path("data/08_reporting/report"), "make ui")
    assert lines == [
        "test accuracy 98.30 % (95 % interval 97.29 to 98.94, 1,000 pictures)",
        "model   data/06_models/model",
        "report  data/08_reporting/report/report.html",
        "runs    make ui",
    ]
