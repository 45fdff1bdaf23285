"""One configuration given in several ways, in a folder with an awkward name: the run and what MLflow knows of it."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
import yaml

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SETTINGS = """\
trainer: {max_epochs: 2, limit_batches: 6}
evaluate: {gallery: 4}
"""
WORDS = ["--env=lab", "--params=optimizer.lr=0.003", "seed=5"]
SESSION = """\
from fovea.notebook import load
load(["optimizer.lr=0.003", "seed=5"], env="lab").session.run()
"""


@pytest.fixture(scope="module")
def lab(make_project: Callable[..., Any]) -> Any:
    """A copy after `kedro run` from a folder below, by a user without a home."""
    project = make_project("fünf 50%20 #1")
    (project.root / "conf" / "lab").mkdir()
    (project.root / "conf" / "lab" / "overrides.yaml").write_text(SETTINGS)
    environment = {name: value for name, value in project.environment.items() if name != "HOME"}
    done = subprocess.run(
        ["kedro", "run", *WORDS],
        cwd=project.root / "notebooks",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return project


@pytest.fixture(scope="module")
def client(lab: Any) -> Any:
    """MLflow's client on the copy's database."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{quote(str(lab.root))}/mlflow.db")


@pytest.fixture(scope="module")
def run(client: Any) -> Any:
    """The one training."""
    experiments = [one for one in client.search_experiments() if not one.name.endswith("-data")]
    (found,) = client.search_runs([one.experiment_id for one in experiments])
    return found


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            values |= flat(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return values


def test_the_parameters_are_the_whole_configuration(lab: Any, run: Any) -> None:
    config = yaml.safe_load(lab.run("kedro", "config", "--env=lab", "optimizer.lr=0.003", "seed=5").stdout)
    assert (config.pop("tracking")["experiment"], config["optimizer"]["lr"], config["seed"]) == ("fovea", 0.003, 5)
    assert config["trainer"]["max_epochs"] == 2
    assert (config.pop("registry")["licence"], config.pop("promote")["confidence"]) == (None, 0.95)  # not of a training
    # What the file of the data set leaves out, the schema fills in.
    left_out = dict.fromkeys(("data.folder", "data.table", "data.wnids"), "null")
    assert run.data.params == flat(config) | {"data.files": "{}", "data.mirrors": "[]"} | left_out


def test_the_tags_say_how_it_was_made(run: Any) -> None:
    tags = run.data.tags
    assert run.info.status == "FINISHED"
    assert tags["command"] == "kedro run --env=lab --params=optimizer.lr=0.003 seed=5"
    assert tags["overrides"] == "optimizer.lr=0.003 seed=5"
    assert tags["git_dirty"] == "true", "conf/lab is not in the commit"
    assert {name: tags[f"choice.{name}"] for name in ("model", "optimizer", "schedule", "augment")} == {
        "model": "lenet5",
        "optimizer": "adam",
        "schedule": "one_cycle",
        "augment": "mnist",
    }


def test_the_curves_are_the_history(lab: Any, client: Any, run: Any) -> None:
    rows = list(csv.DictReader((lab.root / "data/08_reporting/history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in ("train/loss", "train/acc", "val/loss", "val/acc", "lr"):
        points = {point.step: point.value for point in client.get_metric_history(run.info.run_id, name)}
        assert points == {int(row["epoch"]): float(row[name]) for row in rows}
    speed = client.get_metric_history(run.info.run_id, "throughput/images_per_second")
    assert [point.step for point in speed] == [1, 2]
    for name, value in lab.metrics().items():
        if name.startswith("test/"):
            assert [point.value for point in client.get_metric_history(run.info.run_id, name)] == [value]


def test_the_artifacts_are_the_outputs(lab: Any, client: Any, run: Any, tmp_path: Path) -> None:
    kept = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    for folder, output in (("model", "06_models/model"), ("report", "08_reporting/report")):
        names = {path.name for path in (lab.root / "data" / output).iterdir()}
        assert names == {path.name for path in (kept / folder).iterdir()}
        for name in names:
            assert (kept / folder / name).read_bytes() == (lab.root / "data" / output / name).read_bytes()
    predictions = pd.read_parquet(kept / "predictions/predictions.parquet")
    published = pd.read_parquet(lab.root / "data/07_model_output/predictions.parquet")
    pd.testing.assert_frame_equal(predictions, published)
    confusion = pd.read_csv(lab.root / "data/08_reporting/confusion.csv")
    assert (confusion["actual"] == confusion["predicted"]).mean() == lab.metrics()["test/acc"]
    assert len(predictions) == len(confusion) == lab.metrics()["test/count"]
    job = yaml.safe_load((kept / "config/resolved.yaml").read_text())["job"]
    assert (job["seed"], job["optimizer"]["lr"], job["trainer"]["max_epochs"]) == (5, 0.003, 2)
    assert "\nmlflow==" in (kept / "config/environment.txt").read_text()


@pytest.mark.slow
def test_a_session_of_a_notebook_does_the_same(lab: Any, client: Any, run: Any) -> None:
    path = lab.root / "data/08_reporting/metrics.json"
    before = path.read_bytes()
    path.unlink()
    lab.run("python", "-c", SESSION)
    assert path.read_bytes() == before
    newest, oldest = client.search_runs([run.info.experiment_id], order_by=["attributes.start_time DESC"])
    assert oldest.info.run_id == run.info.run_id
    assert (newest.info.run_name, newest.info.status) == (run.info.run_name, "FINISHED")
    assert newest.data.params == run.data.params
    assert newest.data.tags["overrides"] == run.data.tags["overrides"]
