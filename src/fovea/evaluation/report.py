"""One page that says what came out of a run, with its pictures and tables beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from fovea.core import html
from fovea.core.files import explained
from fovea.evaluation.folder import FolderHandle
from fovea.evaluation.summary import accuracy_line, metric_rows
from fovea.models.layer_rows import HEAD, LayerRow, totals

if TYPE_CHECKING:
    import pandas as pd

    from fovea.evaluation.embedding_map import Embedded
    from fovea.evaluation.gallery import Judged
    from fovea.evaluation.grad_cam import Explained
    from fovea.evaluation.metrics import Calibration
    from fovea.evaluation.mosaics import Mosaic
    from fovea.evaluation.outcome import Outcome

_PAIRS = 15


@dataclass(frozen=True)
class Report(FolderHandle):
    """The folder with `report.html`, its pictures as PNG files, and `per_class.csv`."""

    kind: ClassVar[str] = "a report"
    mark: ClassVar[str] = "report.html"
    stage: ClassVar[str] = "evaluate"


@dataclass(frozen=True)
class Findings:
    """What the report tells.

    Attributes:
        run_name: Of the MLflow run.
        run_id: Of the MLflow run; None if there is none.
        metrics: The headline numbers.
        confidence: Coverage of the accuracy's interval.
        outcome: Of the test pictures.
        mistakes: Misclassified test pictures to show.
        least_sure: Test pictures with the least probable predictions.
        history: A row an epoch of the training.
        best_epoch: The epoch whose weights were kept.
        counts: Pictures of each split.
        config: What decided the result, nested or flat.
        layers: Of the network, in the order of the forward pass.
        insides: Its kernels and activation maps.
        robustness: Accuracy by corruption and severity; None if it was not measured.
        explained: Test pictures with the heat of Grad-CAM.
        embedded: Test pictures as the last layer sees them.
        scaled: Calibration of the test pictures after temperature scaling; None where no temperature was fitted.
    """

    run_name: str
    run_id: str | None
    metrics: Mapping[str, float]
    confidence: float
    outcome: Outcome
    mistakes: Sequence[Judged]
    history: pd.DataFrame
    best_epoch: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    layers: Sequence[LayerRow] = ()
    insides: Sequence[Mosaic] = ()
    least_sure: Sequence[Judged] = ()
    robustness: pd.DataFrame | None = None
    explained: Explained | None = None
    embedded: Embedded | None = None
    scaled: Calibration | None = None


def write_report(findings: Findings) -> Report:
    """Draws the pictures and writes the page, into a temporary folder: publish it to keep it.

    Raises:
        RunError: The disk is full.
    """
    from fovea.evaluation.outcome import per_class_table

    report = Report.scratch()
    pictures = _pictures(findings)
    classes = per_class_table(findings.outcome)
    with explained(f"writing the report into {report.path}"):
        for name, content in pictures.items():
            (report.path / f"{name}.png").write_bytes(content)
        classes.to_csv(report.path / "per_class.csv", index=False, lineterminator="\n")
        if findings.robustness is not None:
            findings.robustness.to_csv(report.path / "corruptions.csv", index=False, lineterminator="\n")
        body = _body(findings, pictures, classes)
        (report.path / "report.html").write_text(html.page(findings.run_name, body), encoding="utf-8")
    return report


def _pictures(findings: Findings) -> dict[str, bytes]:
    from fovea.evaluation import curves, plots
    from fovea.evaluation.corruptions import robustness_plot
    from fovea.evaluation.embedding_map import embedding_map
    from fovea.evaluation.gallery import gallery
    from fovea.evaluation.grad_cam import heat_sheet
    from fovea.inspection.drawing import png

    outcome = findings.outcome
    figures = {
        "curves": plots.training_curves(findings.history, findings.best_epoch),
        "confusion": plots.confusion(outcome.confusion, outcome.classes),
        "reliability": plots.reliability(
            outcome.calibration, findings.scaled, findings.metrics.get("calibration/temperature", 1.0)
        ),
    }
    ranked = curves.one_against_rest(outcome)
    if ranked is not None:
        figures["roc"] = ranked
    if findings.mistakes:
        figures["misclassified"] = gallery(findings.mistakes)
    if findings.least_sure:
        figures["least_sure"] = gallery(findings.least_sure)
    if findings.robustness is not None:
        figures["corruptions"] = robustness_plot(findings.robustness, findings.metrics["test/acc"])
    if findings.explained:
        figures["grad_cam"] = heat_sheet(findings.explained)
    if findings.embedded:
        rows = findings.embedded.rows
        wrong = outcome.predicted[rows] != outcome.labels[rows]
        figures["embedding_map"] = embedding_map(findings.embedded, outcome.labels[rows], wrong, outcome.classes)
    drawn = {name: png(figure) for name, figure in figures.items()}
    return drawn | {mosaic.name: mosaic.png() for mosaic in findings.insides}


def _body(findings: Findings, pictures: Mapping[str, bytes], classes: pd.DataFrame) -> Iterator[str]:
    yield html.heading(findings.run_name, level=1)
    yield html.paragraph(accuracy_line(findings.metrics, findings.confidence), "headline")
    yield html.paragraph(f"MLflow run {findings.run_id or 'not recorded'}", "soft")
    yield html.table(["metric", "value", "from", "to"], metric_rows(findings.metrics))
    yield html.heading("Training")
    yield html.picture(pictures["curves"], "", "Loss, accuracy and learning rate of each epoch")
    yield html.heading("Mistakes")
    yield html.picture(pictures["confusion"], "Counts; the shade is the share of the row.", "Confusion matrix")
    yield html.picture(pictures["reliability"], "Confidence against accuracy.", "Reliability plot")
    if "roc" in pictures:
        caption = "Each class against all others: ROC to the left, precision and recall to the right."
        yield html.picture(pictures["roc"], caption, "ROC and precision-recall curves")
    yield from _mistakes(findings, pictures)
    if findings.least_sure:
        caption = (
            "The pictures of which the model is least sure, right or wrong: actual → predicted, or the class alone "
            "where it is right, and the probability of the prediction."
        )
        yield html.picture(pictures["least_sure"], caption, "Least sure pictures", kind="photo")
    yield html.heading("Classes")
    yield html.table(list(classes.columns), classes.itertuples(index=False))
    yield from _robustness(findings, pictures)
    yield from _insides(findings, pictures)
    yield html.heading("Data")
    yield html.table(["split", "pictures"], findings.counts.items())
    if findings.config:
        yield html.heading("Config")
        yield html.table(
            ["key", "value"], ((key, _written(value)) for key, value in html.flat(findings.config).items())
        )
    if findings.layers:
        yield html.heading("Layers")
        yield html.table(
            HEAD, [*(row.cells() for row in findings.layers), ("total", "", "", *totals(findings.layers), "", "")]
        )


def _written(value: Any) -> str:
    """A value of the configuration as MLflow shows it too: `null`, `true`, `[0.9, 0.999]`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _robustness(findings: Findings, pictures: Mapping[str, bytes]) -> Iterator[str]:
    """Accuracy on pictures that were made worse."""
    if findings.robustness is None:
        return
    wide = findings.robustness.pivot_table(index="corruption", columns="severity", values="acc", sort=False)
    yield html.heading("Corruptions")
    yield html.picture(pictures["corruptions"], "0 is the picture as it is.", "Accuracy by corruption and severity")
    yield html.table(
        ["accuracy at severity", *map(str, wide.columns)], ([name, *row] for name, *row in wide.itertuples())
    )


def _insides(findings: Findings, pictures: Mapping[str, bytes]) -> Iterator[str]:
    """What the network saw: Grad-CAM, the map of the features, kernels and activation maps."""
    if findings.explained or findings.embedded or findings.insides:
        yield html.heading("Inside the network")
    if findings.explained:
        caption = (
            f"Where the network found what speaks for its prediction (yellow: much), right pictures before "
            f"misclassified ones: Grad-CAM at {findings.explained.cam.layer}."
        )
        yield html.picture(pictures["grad_cam"], caption, "Grad-CAM", kind="photo")
    if findings.embedded:
        caption = (
            f"{len(findings.embedded.rows):,} test pictures as the last layer sees them, {findings.embedded.words}."
        )
        yield html.picture(pictures["embedding_map"], caption, "Embedding map")
    for mosaic in findings.insides:
        yield html.picture(pictures[mosaic.name], mosaic.caption, mosaic.name, kind="photo")


def _mistakes(findings: Findings, pictures: Mapping[str, bytes]) -> Iterator[str]:
    wrong = len(findings.outcome.wrong(len(findings.outcome.labels)))
    if not wrong:
        yield html.paragraph("No test picture was misclassified.")
        return
    pairs = findings.outcome.confused_pairs(_PAIRS)
    yield html.table(["actual", "predicted instead", "pictures"], pairs)
    if findings.mistakes:
        shown = f"The {len(findings.mistakes)} surest of {wrong} mistakes"
        caption = f"{shown}: actual → predicted, and the probability of the prediction."
        yield html.picture(pictures["misclassified"], caption, "Misclassified pictures", kind="photo")
