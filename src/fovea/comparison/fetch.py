"""Reads from MLflow what is compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.comparison.past import PastRun, packages_of
from fovea.comparison.recipe import RESOLVED, Recipe, recipe_of
from fovea.core.errors import RunError, UserError
from fovea.core.files import explained, scratch_directory
from fovea.core.places import from_home, project_root
from fovea.tracking.finding import MODEL, FoundRun, find_run
from fovea.training.result import FACTS, HISTORY, RECORD

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS = "predictions/predictions.parquet"
ENVIRONMENT = "config/environment.txt"

_PARENT = "mlflow.parentRunId"


def find(named: str) -> FoundRun:
    """The run that a name, an id, `latest` or the folder of a trained model means.

    Raises:
        UserError: There is no such run.
        RunError: MLflow is out of reach.
    """
    path = from_home(named)
    for folder in (path, project_root() / path):
        if folder.is_dir():
            run_id = tracking.recorded_id(folder / RECORD)
            if run_id is None:
                raise UserError(f"the folder '{named}' names no MLflow run (no {RECORD} with one); name the run")
            return find_run(run_id)
    return find_run(named)


def read(found: FoundRun) -> PastRun:
    """All that is compared of a run; only its predictions must be there.

    Raises:
        UserError: The run was not evaluated.
        RunError: Its predictions were deleted or are damaged, or MLflow is out of reach.
    """
    with _scratch() as place:
        environment = found.artifact(ENVIRONMENT, place)
        facts = found.artifact(f"{MODEL}/{FACTS}", place)
        return PastRun(
            run_id=found.run_id,
            name=found.name,
            status=found.run.info.status,
            params=found.run.data.params,
            metrics=found.run.data.metrics,
            tags=found.run.data.tags,
            packages=None if environment is None else packages_of(environment.read_text(encoding="utf-8")),
            model=_facts(facts),
            predictions=_predictions(found, place),
        )


def history(found: FoundRun) -> pd.DataFrame:
    """The curves of a run: a row an epoch, with the columns `epoch`, `train/loss`, `val/acc` and so on.

    Raises:
        UserError: The run is not one of a training, or it did not come to its end.
        RunError: Its curves are damaged, or MLflow is out of reach.
    """
    import pandas as pd

    who = f"the run '{found.name}' ({found.run_id}, {found.run.info.status})"
    with _scratch() as place:
        path = found.artifact(f"{MODEL}/{HISTORY}", place)
        if path is None:
            raise UserError(f"{who} holds no trained model with its curves; name the run of one training that finished")
        try:
            return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise RunError(f"the artifact {MODEL}/{HISTORY} of {who} is damaged ({error})") from error


def recipe(found: FoundRun) -> Recipe:
    """What a run was made from.

    Raises:
        UserError: The run is none that is made again alone, or its configuration is none of today's code.
        RunError: The file that says it is damaged, or MLflow is out of reach.
    """
    who = f"the run '{found.name}' ({found.run_id}, {found.run.info.status})"
    with _scratch() as place:
        path = found.artifact(RESOLVED, place)
        if path is None:
            raise UserError(f"{who} holds no {RESOLVED}, which says what to train; name the run of one training")
        return recipe_of(path.read_text(encoding="utf-8"), who)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for what is fetched, as long as it is read."""
    folder = scratch_directory()
    try:
        with explained("fetching what MLflow holds of the runs"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _predictions(found: FoundRun, place: Path) -> pd.DataFrame:
    import pandas as pd

    path = found.artifact(PREDICTIONS, place)
    who = f"the run '{found.name}' ({found.run_id}, {found.run.info.status})"
    if path is None:
        tags = found.run.data.tags
        if _PARENT in tags:
            raise UserError(
                f"{who} is one of several models of the run {tags[_PARENT]} and has no {PREDICTIONS} of its own; name "
                "the run of one training"
            )
        if "done" in (tags.get("stage.evaluate"), tags.get("stage.ensemble")):
            raise RunError(f"the artifact {PREDICTIONS} of {who} was deleted; run the command of that run again")
        raise UserError(f"{who} was not tested, it has no {PREDICTIONS}; run its command again to the end")
    try:
        table = pd.read_parquet(path)
        missing = {"id", "label", "predicted"} - set(table.columns)
    except (OSError, ValueError) as error:  # Arrow's errors are one or the other
        raise RunError(f"the artifact {PREDICTIONS} of {who} is damaged ({error})") from error
    if missing:
        raise RunError(f"the artifact {PREDICTIONS} of {who} has no column {', '.join(sorted(missing))}")
    return table


def _facts(path: Path | None) -> dict[str, Any]:
    """The content of `model.json`; what is not there or cannot be read is not known."""
    try:
        content = json.loads(path.read_text()) if path is not None else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
