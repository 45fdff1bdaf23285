"""What the MLflow UI says of an experiment: a note on how to read it, and a view with the columns to compare by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fovea.tracking.charts import chart_state

VIEW = "fovea"
COLUMNS = {
    "metrics.`test/acc`": 90,
    "metrics.`val/acc`": 90,
    "tags.`overrides`": 280,
    "params.`optimizer.lr`": 110,
    "params.`trainer.max_epochs`": 150,
    "params.`seed`": 70,
    "attributes.`Duration`": 90,
    "tags.`choice.model`": 120,
    "tags.`choice.data`": 110,
    "attributes.`Dataset`": 200,
    "tags.`git_dirty`": 80,
}
"""The columns of the table, in order, and their widths in pixels."""

DATA_SUFFIX = "-data"
"""Of the experiment whose runs are versions of the data."""

_DATA_COLUMNS = {"params.`prepare.resize`": 110, "params.`classes`": 80, "attributes.`Dataset`": 200}
_FIXED = {"attributes.`Run Name`": 230, "runDateAndNestInfo": 150}


def experiment_tags(experiment: str) -> dict[str, str]:
    """The tags of a new experiment; a user's later changes to them stand."""
    of_data = experiment.endswith(DATA_SUFFIX)
    view = _saved_view(_DATA_COLUMNS, {}) if of_data else _saved_view(COLUMNS, chart_state())
    return {
        "mlflow.note.content": Path(__file__).with_name("data.md" if of_data else "guide.md").read_text("utf-8"),
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{VIEW}": view,
    }


def _saved_view(columns: Mapping[str, int], charts: Mapping[str, Any]) -> str:
    """A view as MLflow's "Save as new view" stores it; a UI that does not know it ignores it."""
    state = {
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": list(columns),
        "columnOrder": [*_FIXED, *columns],
        "columnWidths": {**_FIXED, **columns},
        **charts,
    }
    # Without blanks: an older server takes no more than 5,000 characters.
    inner = json.dumps(state, separators=(",", ":"))
    return json.dumps({"name": "Fovea", "createdAt": 0, "updatedAt": 0, "state": inner}, separators=(",", ":"))
