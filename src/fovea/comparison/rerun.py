"""Makes a run again, beside everything that the project holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import tracking
from fovea.comparison.past import PastRun, packages_of
from fovea.core.places import FRESH, MODELS, WORK_FOLDER, project_root
from fovea.tracking.facts import RunFacts, environment, origin_tags, process_tags

if TYPE_CHECKING:
    import pandas as pd

    from fovea.comparison.recipe import Recipe
    from fovea.shards import PreparedData

REPRODUCES = "reproduces"
"""The tag of a repetition; its value is the id of the run that was repeated."""


@dataclass(frozen=True, eq=False)
class Repetition:
    """What came out.

    Attributes:
        run_id: Of the new MLflow run; None: MLflow was out of reach.
        name: Its name.
        predictions: A row a test picture.
        metrics: By name.
    """

    run_id: str | None
    name: str
    predictions: pd.DataFrame
    metrics: dict[str, float]


def today(recipe: Recipe, prepared: PreparedData) -> PastRun:
    """The tags and packages that the run would have if it were made now.

    Raises:
        UserError: This machine has not the devices that it asks for.
    """
    import torch  # noqa: F401  # the name of a GPU is known only to it

    from fovea.training.devices import count_devices

    trainer = recipe.job.trainer
    tags = {**origin_tags(RunFacts()), **process_tags()}
    tags |= {"data_digest": prepared.meta.digest, "precision": str(trainer.precision)}
    tags |= {"world_size": str(count_devices(trainer) * trainer.launch.nodes)}
    return PastRun("", "today", tags=tags, packages=packages_of(environment()))


def as_evaluated(before: PastRun, recipe: Recipe) -> dict[str, Any]:
    """The section `evaluate` of a run, with the confidence of the latest test, whose intervals must come out again."""
    settings = dict(recipe.config["evaluate"])
    return settings if before.confidence is None else {**settings, "confidence": before.confidence}


def repeat(recipe: Recipe, prepared: PreparedData, before: PastRun) -> Repetition:
    """Trains and tests; takes up nothing that is there, and leaves the project's model and results as they are.

    Args:
        recipe: Of the run.
        prepared: The data.
        before: The run; its id is a tag of the new one.

    Raises:
        UserError: The run cannot be made on this machine or on these data.
        RunError: Training failed, the disk is full, or MLflow is out of reach and `tracking.on_error` is `stop`.
        Interrupted: A signal ended it.
    """
    import pandas as pd

    from fovea.config.schema import DataConfig, EvaluateConfig, parse
    from fovea.evaluation.stage import evaluate
    from fovea.training.stage import train
    from fovea.training.workfolder import let_go

    data = parse(DataConfig, recipe.config["data"], "data")
    config = parse(EvaluateConfig, as_evaluated(before, recipe), "evaluate")
    tracking.hold_open()
    with _apart(project_root() / MODELS / "_reproduce" / before.run_id):
        try:
            model = train(recipe.job, prepared, {REPRODUCES: before.run_id})
            result = evaluate(prepared, model, pd.DataFrame(model.history()), data, config)
        finally:
            let_go(remove=True)
    [summary] = tracking.close("FINISHED")
    return Repetition(summary.run_id, summary.name, result.predictions, result.metrics)


@contextmanager
def _apart(folder: Path) -> Iterator[None]:
    """Lets this process and its children train in a folder of their own, from the start."""
    changes = {WORK_FOLDER: str(folder), FRESH: "1"}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        for place in (folder, folder.parent):
            with suppress(OSError):  # not empty, or not there
                place.rmdir()
