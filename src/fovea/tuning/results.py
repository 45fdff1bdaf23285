"""What a search leaves: its table and pictures, on disk and in its MLflow run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.files import atomic_file
from fovea.inspection.drawing import png
from fovea.tuning import pictures
from fovea.tuning.rows import Row, best_of, best_so_far, counts, table

if TYPE_CHECKING:
    from fovea.tracking import Run
    from fovea.tuning.ledger import Ledger

TABLE, SUMMARY = "trials.csv", "study.json"


def write(ledger: Ledger, rows: Sequence[Row], folder: Path) -> None:
    """Writes the table, the summary and the pictures; other files of the folder stay.

    Args:
        ledger: The search.
        rows: Its trials.
        folder: Where to.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    space, direction = ledger.space, ledger.space.config.direction
    metric = space.config.metric
    found = ledger.importances()
    texts = {
        TABLE: table(rows, metric, list(space.parameters)),
        SUMMARY: json.dumps(summary(ledger.study.study_name, rows, metric, direction, found), indent=1) + "\n",
    }
    drawn = {"history.png": pictures.history(rows, metric, direction)}
    if found:
        drawn["importances.png"] = pictures.importances(found, metric)
    if best_of(rows, direction) is not None:
        drawn["parallel.png"] = pictures.parallel(rows, space)
    for name, text in texts.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for name, figure in drawn.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_bytes(png(figure, dpi=110))


def summary(
    name: str, rows: Sequence[Row], metric: str, direction: str, importances: Mapping[str, float]
) -> dict[str, Any]:
    """The search in numbers, as plain data.

    Args:
        name: Of the search.
        rows: Its trials.
        metric: Its name.
        direction: `maximize` or `minimize`.
        importances: As `Ledger.importances` gives them.
    """
    best = best_of(rows, direction)
    content: dict[str, Any] = {"study": name, "metric": metric, "direction": direction, "trials": counts(rows)}
    if best is not None:
        content["best"] = {
            "trial": best.number,
            metric: best.value,
            "overrides": list(best.overrides),
            "run_name": best.run_name,
            "run_id": best.run_id,
        }
    content["importances"] = dict(importances)
    content["seconds"] = round(sum(row.seconds or 0.0 for row in rows), 1)
    return content


def record(run: Run, rows: Sequence[Row], metric: str, direction: str, folder: Path) -> None:
    """Tells the search's MLflow run.

    Args:
        run: Of the search.
        rows: Its trials.
        metric: Its name.
        direction: `maximize` or `minimize`.
        folder: Where `write` wrote to.
    """
    for number, value in best_so_far(rows, direction):
        run.log_metrics({f"best/{metric}": value}, step=number)
    found = counts(rows)
    run.log_metrics({f"trials/{state}": count for state, count in found.items()} | {"trials/all": sum(found.values())})
    best = best_of(rows, direction)
    if best is not None:
        run.log_metrics({metric: best.value or 0.0})
        run.set_tags(
            {"best.trial": best.number, "best.overrides": " ".join(best.overrides), "best.run": best.run_id or ""}
        )
    for name in (TABLE, SUMMARY, "history.png", "importances.png", "parallel.png"):
        if (folder / name).is_file():
            run.log_artifact(folder / name, "tune")
