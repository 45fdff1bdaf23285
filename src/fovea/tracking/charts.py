"""The panels of MLflow's chart view, as a saved view holds them: what to compare by stands first.

MLflow adds a panel for every other metric and picture by itself, in a section named by what stands before the slash.
"""

from __future__ import annotations

from typing import Any

PICTURES = ("confusion", "misclassified", "reliability", "roc", "grad_cam", "embedding_map")
"""Those of a run that stand beside those of other runs, by the names of their files in the report."""

GROUP = "pictures"

_FIRST, _DIFFERENCES = "at a glance", "parameters that differ"
_SECTIONS: dict[str, dict[str, Any]] = {
    _FIRST: {"columns": 3, "cardHeight": 400},
    _DIFFERENCES: {"columns": 1, "cardHeight": 400},
    GROUP: {"columns": 1, "cardHeight": 560},
    "val": {},
    "train": {},
    # Ends of intervals, seconds and the like begin folded. MLflow names the last one itself.
    **{name: {"display": False} for name in ("test", "calibration", "time", "throughput", "export", "Model metrics")},
}

_RUNS = 10  # that MLflow draws in a panel


def chart_state() -> dict[str, Any]:
    """The part of a saved view that says which panels there are, and in which order."""
    cards = [
        _line("val/acc"),
        _line("train/loss", "val/loss"),
        _card("BAR", _FIRST, "test/acc", metricKey="test/acc"),
        _difference(),
        *(_picture(name) for name in PICTURES),
    ]
    return {
        "compareRunCharts": cards,
        "compareRunSections": [
            {"uuid": name, "name": name, "display": True, **layout} for name, layout in _SECTIONS.items()
        ],
        # Else MLflow sorts the sections by name.
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
    }


def _card(kind: str, section: str, name: str, **more: Any) -> dict[str, Any]:
    base = {"runsCountToCompare": _RUNS, "displayName": name}
    return {"type": kind, "uuid": f"{kind} {name}", "metricSectionId": section, **base, **more}


def _line(*metrics: str) -> dict[str, Any]:
    """Curves of one or more metrics over the epoch, a colour a run."""
    return _card(
        "LINE",
        _FIRST,
        " and ".join(metrics),
        metricKey=metrics[0],
        selectedMetricKeys=list(metrics),
        xAxisKey="step",
        xAxisScaleType="linear",
        scaleType="linear",
        range={},
        selectedXAxisMetricKey="",
        yAxisKey="metric",
        yAxisExpressions=[],
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )


def _difference() -> dict[str, Any]:
    """A table of the parameters in which the runs differ, a column a run."""
    return _card(
        "DIFFERENCE",
        _DIFFERENCES,
        _DIFFERENCES,
        chartName=_DIFFERENCES,
        compareGroups=["Parameters"],
        showChangeFromBaseline=False,
        showDifferencesOnly=True,
        baselineColumnUuid="",
    )


def _picture(name: str) -> dict[str, Any]:
    """The pictures of one name, without the hundred parameters that MLflow would write below each."""
    return _card("IMAGE", GROUP, f"{GROUP}/{name}", imageKeys=[f"{GROUP}/{name}"], step=0, showRunParams=False)
