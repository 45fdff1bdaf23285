"""What happens around a run of Kedro: the MLflow run begins and ends with it."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from fovea.core.publication import Publication

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

    from fovea.tracking import Summary

log = logging.getLogger("fovea.run")

_STUDIES = {"crossval": "crossval_folds", "ensemble": "ensemble_members"}
"""The summaries of several models, each with the table of its models."""

_DATA = ("source", "prepared")
"""What is made before training; everything else is a result."""


class ProjectHooks:
    """Opens tracking before a pipeline, and closes it truthfully after.

    A stage opens its MLflow run itself, so that pipelines without one (ingest, prepare) never import MLflow.
    """

    def __init__(self) -> None:
        self._loader: Any = None
        self._places: dict[str, Path] = {}
        self._publication = Publication()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keeps the config loader of the session that begins."""
        self._loader = context.config_loader

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Keeps the places of the outputs."""
        self._places = {name: Path(entry["filepath"]) for name, entry in conf_catalog.items() if "filepath" in entry}

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Says where runs are kept and where they come from; one run then stays open through all stages.

        Where `predict.model` names a model and nothing else needs that of the catalog, there need not be one.

        Raises:
            UserError: `tracking.uri` is none that MLflow can use.
        """
        from fovea import tracking

        self._publication.end()  # of a session that was interrupted
        config: Mapping[str, Any] = self._loader["parameters"] if self._loader is not None else {}
        composition = getattr(self._loader, "composition", None)
        overrides = tuple(getattr(composition, "overrides", ()))
        if os.environ.get("DVC_STAGE") and any(node.name == "train" for node in pipeline.nodes):
            overrides = _implied_overrides(config)
        facts = tracking.RunFacts(config, chosen(composition), overrides, _command(overrides))
        tracking.configure(config.get("tracking", {}), facts)
        if config.get("predict", {}).get("model") and _only_predicts(pipeline):
            catalog["model"].waive()
        tracking.hold_open()

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Lets the results of two runs not be mixed."""
        if dataset_name in self._places and dataset_name not in _DATA:
            self._publication.begin()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keeps the folders of data, should another run replace them."""
        if dataset_name in self._places and dataset_name in _DATA:
            self._publication.add(data, self._places[dataset_name])

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Ends the run FINISHED and says what came out."""
        from fovea import tracking
        from fovea.training.workfolder import forget, let_go

        runs = tracking.close("FINISHED")
        outputs = pipeline.all_outputs()
        # DVC notes a stage's outputs after the stage has ended, and deletes those that it has not noted before it runs
        # the stage again: until a later stage runs, the work folder may be all that is left of the training.
        is_stage = bool(os.environ.get("DVC_STAGE"))
        let_go(remove=not (is_stage and "model" in outputs))
        if is_stage and "metrics" in outputs:
            forget(catalog.load("model"))
        numbers = {name: catalog.load(name) for name in ("metrics", *_STUDIES) if name in outputs}
        self._publication.end()
        if "prediction_page" in outputs:
            self._say_predictions()
        for name, content in numbers.items():
            self._say(name, content, runs)

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Ends the run FAILED, and leaves the checkpoints for the next try."""
        from fovea import tracking
        from fovea.training.workfolder import let_go

        tracking.close("FAILED", error)
        let_go(remove=False)
        self._publication.end()

    def _say_predictions(self) -> None:
        from fovea.core.places import project_root

        root = project_root()
        log.info("table   %s", _short(self._places["prediction_table"], root))
        log.info("gallery %s", _short(self._places["prediction_page"], root) / "predictions.html")

    def _say(self, name: str, numbers: Mapping[str, Any], runs: list[Summary]) -> None:
        from fovea.core.places import project_root
        from fovea.evaluation import summary

        root = project_root()
        places = {place: _short(path, root) for place, path in self._places.items()}
        look = "make ui" if (root / "Makefile").is_file() else "kedro ui"
        # The runs of a study's models lie below its own, which was opened first.
        shown = ", ".join(run.name for run in (runs[:1] if name in _STUDIES else runs) if run.journal is None)
        look = f"{look}  (this one is {shown})" if shown else look
        confidence = self._loader["parameters"]["evaluate"]["confidence"]
        if name == "metrics":
            lines = summary.closing_lines(numbers, confidence, places["model"], places["report"], look)
        else:
            lines = summary.study_lines(name, numbers, confidence, places[name], places[_STUDIES[name]], look)
        for line in lines:
            log.info("%s", line)
        for run in runs:
            if run.journal is not None:
                log.info("MLflow was out of reach: `kedro tracking-sync` sends %s", _short(run.journal, root))


def chosen(composition: Any) -> dict[str, str]:
    """The members of the groups of which a configuration is composed.

    Args:
        composition: `HydraConfigLoader.composition`; None has none.
    """
    return {group: member for group, member in getattr(composition, "choices", {}).items() if member is not None}


def _only_predicts(pipeline: Pipeline) -> bool:
    """Whether a model of the catalog is wanted to predict with, and for nothing else."""
    return "model" in pipeline.inputs() and [one.name for one in pipeline.nodes if "model" in one.inputs] == ["predict"]


def _short(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _command(overrides: tuple[str, ...]) -> str:
    """The command as typed; in a notebook or a stage of DVC, the command that does the same."""
    program = Path(sys.argv[0]).name
    if os.environ.get("DVC_STAGE"):
        choices = [word for line in overrides for word in ("-S", line)]
        return shlex.join(["dvc", "exp", "run", *choices]) if os.environ.get("DVC_EXP_NAME") else "dvc repro"
    if program in ("kedro", "fovea"):
        return shlex.join([program, *sys.argv[1:]])
    if program == "__main__.py":
        return shlex.join(["python", "-m", "fovea", *sys.argv[1:]])
    return shlex.join(["kedro", "run", *overrides])


def _implied_overrides(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The overrides that make this config from `conf/` as it stands; DVC does not tell its stages what was typed."""
    from fovea.config.compose import compose
    from fovea.config.groups import groups
    from fovea.config.origin import leaves
    from fovea.config.runtime_params import written
    from fovea.core.errors import UserError
    from fovea.core.places import project_root

    conf = project_root() / "conf"
    try:
        plain, known = compose(conf).config, groups(conf)
        names = {group: section.get("name") for group, section in config.items() if isinstance(section, Mapping)}
        chosen = [
            f"{group}={name}"
            for group, name in names.items()
            if name in known.get(group, ()) and name != plain.get(group, {}).get("name")
        ]
        base = dict(leaves(compose(conf, chosen).config))
    except UserError:
        return ()
    ours = dict(leaves(config))
    gone = [f"~{key}" for key in base if key not in ours]
    values = [
        f"{'' if key in base else '++'}{key}={written(value)}"
        for key, value in ours.items()
        if key not in base or base[key] != value
    ]
    return (*chosen, *gone, *values)
