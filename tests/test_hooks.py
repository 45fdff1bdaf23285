from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from mlflow import MlflowClient
from mlflow.entities import Run
from pluggy import PluginManager

from fovea import tracking
from fovea.config.compose import compose
from fovea.core.errors import UserError
from fovea.hooks import ProjectHooks, _command, _implied_overrides
from fovea.kedro_io import DirectoryDataset
from fovea.tracking import session

CONF = Path(__file__).resolve().parents[1] / "conf"
METRICS = {"test/acc": 0.98, "test/acc_low": 0.97, "test/acc_high": 0.99, "test/count": 1000}
WITH_METRICS = Pipeline([node(lambda: METRICS, None, "metrics", name="evaluate")])
WITHOUT = Pipeline([node(lambda: 1, None, "source", name="ingest")])
PLACES = {
    "model": {"filepath": "data/06_models/model"},
    "report": {"filepath": "data/08_reporting/report"},
    "prediction_table": {"filepath": "data/07_model_output/prediction_table.csv"},
    "prediction_page": {"filepath": "data/08_reporting/predictions"},
    "crossval": {"filepath": "data/08_reporting/crossval.json"},
    "crossval_folds": {"filepath": "data/08_reporting/crossval_folds.csv"},
}


class Project:
    """Kedro's hooks around a session, without Kedro's session."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.record = root / "work/run.json"
        self.catalog = DataCatalog({"metrics": MemoryDataset(METRICS)})
        self.manager: PluginManager = _create_hook_manager()
        self.manager.register(ProjectHooks())

    def begin(
        self,
        *overrides: str,
        composition: bool = True,
        pipeline: Pipeline = WITH_METRICS,
        predict: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        config = {
            "predict": predict or {},
            "model": {"name": "lenet5"},
            "evaluate": {"confidence": 0.95},
            "tracking": {"experiment": "fovea", "uri": None, "on_error": "continue", **settings},
        }
        loader: Any = type("Loader", (dict,), {})({"parameters": config})
        if composition:
            loader.composition = SimpleNamespace(
                config=config, choices={"model": "lenet5", "debug": None}, overrides=overrides
            )
        self.manager.hook.after_context_created(context=SimpleNamespace(config_loader=loader))
        self.manager.hook.after_catalog_created(
            catalog=self.catalog, conf_catalog=PLACES, conf_creds={}, parameters={}, save_version="", load_versions={}
        )
        self.manager.hook.before_pipeline_run(run_params={}, pipeline=pipeline, catalog=self.catalog)

    def end(self, pipeline: Pipeline = WITH_METRICS) -> None:
        self.manager.hook.after_pipeline_run(run_params={}, run_result={}, pipeline=pipeline, catalog=self.catalog)

    def fail(self, error: Exception) -> None:
        self.manager.hook.on_pipeline_error(error=error, run_params={}, pipeline=WITH_METRICS, catalog=self.catalog)

    @property
    def run(self) -> Run:
        (run,) = MlflowClient(f"sqlite:///{self.root}/mlflow.db").search_runs(["1"])
        return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    monkeypatch.setattr(session, "_session", None)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kedro", "run", "model=lenet5", "optimizer.lr=0.1"])
    return Project(tmp_path)


def test_one_run_through_all_stages_and_the_last_words(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    project.begin("model=lenet5", "optimizer.lr=0.1")
    for stage in ("train", "evaluate"):
        with tracking.stage(stage, project.record, "lenet5-digits-abc"):
            pass
        assert project.run.info.status == "RUNNING"
    project.end()
    tags = project.run.data.tags
    assert project.run.info.status == "FINISHED"
    assert (tags["choice.model"], tags["overrides"]) == ("lenet5", "model=lenet5 optimizer.lr=0.1")
    assert tags["command"] == "kedro run model=lenet5 optimizer.lr=0.1"
    assert "choice.debug" not in tags
    assert [record.getMessage() for record in caplog.records if record.name == "fovea.run"] == [
        "test accuracy 98.00 % (95 % interval 97.00 to 99.00, 1,000 pictures)",
        "model   data/06_models/model",
        "report  data/08_reporting/report/report.html",
        "runs    kedro ui  (this one is lenet5-digits-abc)",
    ]


def test_the_last_words_of_a_study_name_its_own_run(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    numbers = {"val/acc": 0.9905, "val/acc_std": 0.0021, "folds": 5, "pooled/acc": 0.99, "pooled/count": 2002}
    summary = {**numbers, "pooled/acc_low": 0.985, "pooled/acc_high": 0.994}
    project.catalog = DataCatalog({"crossval": MemoryDataset(summary)})
    project.begin()
    with tracking.stage("crossval", project.record, "crossval-lenet5-digits-abc"):
        for fold in ("one", "two"):
            with tracking.stage("train", project.root / f"{fold}.json", fold):
                pass
    project.end(Pipeline([node(lambda: summary, None, "crossval", name="crossval")]))
    assert [record.getMessage() for record in caplog.records if record.name == "fovea.run"] == [
        "crossval: val/acc 99.05 % +- 0.21 (5 folds; pooled 99.00 %, 95 % interval 98.50 to 99.40, 2,002 pictures)",
        "report  data/08_reporting/crossval.json",
        "models  data/08_reporting/crossval_folds.csv",
        "runs    kedro ui  (this one is crossval-lenet5-digits-abc)",
    ]


def test_the_last_words_name_the_front_door_where_there_is_one(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (project.root / "Makefile").touch()
    project.begin()
    project.end()
    assert "runs    make ui" in caplog.messages


def test_the_last_words_name_what_was_kept_on_disk(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    project.begin(uri="http://127.0.0.1:9")
    with tracking.stage("train", project.record, "one"):
        pass
    project.end()
    assert caplog.messages[-1].startswith(
        "MLflow was out of reach: `kedro tracking-sync` sends data/08_reporting/_untracked/one-"
    )


def test_a_pipeline_without_metrics_ends_silently(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fovea.run")
    project.begin()
    project.end(WITHOUT)
    assert [record for record in caplog.records if record.name == "fovea.run"] == []


def test_an_error_between_stages_fails_the_run(project: Project) -> None:
    project.begin()
    with tracking.stage("train", project.record, "one"):
        pass
    project.fail(OSError("no space"))
    assert (project.run.info.status, project.run.data.tags["error"]) == ("FAILED", "OSError: no space")


def test_a_second_session_of_a_notebook_has_its_own_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/venv/lib/ipykernel_launcher.py", "-f", "kernel.json"])
    project.begin("model=lenet5")
    with tracking.stage("train", project.record, "one"):
        pass
    # Interrupted before the pipeline's end: no hook is called, and the next session begins.
    project.begin("model=lenet5", "seed=1")
    with tracking.stage("train", project.record.with_name("other.json"), "two"):
        pass
    project.end()
    client = MlflowClient(f"sqlite:///{project.root}/mlflow.db")
    runs = {run.info.run_name: run for run in client.search_runs(["1"])}
    assert {name: run.info.status for name, run in runs.items()} == {"one": "KILLED", "two": "FINISHED"}
    assert runs["two"].data.tags["command"] == "kedro run model=lenet5 seed=1"


def test_a_loader_without_composition_is_enough(project: Project) -> None:
    project.begin(composition=False)
    with tracking.stage("evaluate", project.record, "one"):
        pass
    project.end(WITHOUT)
    assert project.run.data.params["model.name"] == "lenet5"


def test_a_wrong_store_is_refused_before_the_first_node(project: Project) -> None:
    with pytest.raises(UserError, match=r"tracking\.uri='mlruns'"):
        project.begin(uri="mlruns")


def test_hooks_import_no_mlflow(tmp_path: Path) -> None:
    code = (
        "import sys; from fovea.hooks import ProjectHooks; hooks = ProjectHooks(); "
        "from kedro.pipeline import Pipeline; none = Pipeline([]);"
        "hooks.before_pipeline_run(none, None); hooks.after_pipeline_run(none, None);"
        "print(sorted({'mlflow', 'torch', 'pandas'} & sys.modules.keys()))"
    )
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    env = {**os.environ, "FOVEA_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_stage_of_dvc_tells_what_its_config_changes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CONF, tmp_path / "conf", dirs_exist_ok=True, ignore=shutil.ignore_patterns("local"))
    monkeypatch.setenv("DVC_STAGE", "train")
    config = compose(tmp_path / "conf", ["model=deep_mnist", "optimizer.lr=0.01", "data.mean=[0.5]"]).config
    assert set(_implied_overrides(config)) == {"model=deep_mnist", "optimizer.lr=0.01", "data.mean=[0.5]"}
    assert _implied_overrides(compose(tmp_path / "conf").config) == ()
    assert _command(("model=deep_mnist",)) == "dvc repro"
    monkeypatch.setenv("DVC_EXP_NAME", "brave-fox")
    assert _command(("model=deep_mnist",)) == "dvc exp run -S model=deep_mnist"


@pytest.mark.parametrize(
    "lines",
    [
        ["data=image_folder", "data.name=pets", "data.folder='/my, pets (1)'", "prepare.near_distance=null"],
        ["augment=randaugment", "augment.mix.mixup_alpha=0.2"],
        ["optimizer=sgd", "trainer.max_epochs=7"],
    ],
)
def test_the_overrides_that_dvc_does_not_tell_make_the_same_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    shutil.copytree(CONF, tmp_path / "conf", dirs_exist_ok=True, ignore=shutil.ignore_patterns("local"))
    config = compose(tmp_path / "conf", lines).config
    assert compose(tmp_path / "conf", _implied_overrides(config)).config == config


@pytest.mark.parametrize(
    ("named", "names", "is_waived"),
    [(None, ["predict"], False), ("latest", ["predict"], True), ("latest", ["predict", "export"], False)],
)
def test_a_model_that_is_named_makes_that_of_the_catalog_needless(
    project: Project, named: str | None, names: list[str], is_waived: bool
) -> None:
    project.catalog["model"] = DirectoryDataset(str(project.root / "none"), "fovea.training.TrainedModel")
    pipeline = Pipeline([node(lambda model: model, "model", f"of {name}", name=name) for name in names])
    project.begin(pipeline=pipeline, predict={"model": named})
    if is_waived:
        assert project.catalog.load("model") is None
    else:
        with pytest.raises(DatasetError, match="no trained model"):
            project.catalog.load("model")


def test_the_last_words_of_predictions(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    project.begin()
    project.end(Pipeline([node(lambda: (1, 2), None, ["prediction_table", "prediction_page"], name="predict")]))
    assert caplog.messages[-2:] == [
        "table   data/07_model_output/prediction_table.csv",
        "gallery data/08_reporting/predictions/predictions.html",
    ]
