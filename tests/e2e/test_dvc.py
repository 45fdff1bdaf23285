from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SETTINGS = """\
trainer:
  max_epochs: 1
  limit_batches: 4
evaluate:
  gallery: 4
optimizer:
  lr: {lr}
prepare:
  val_fraction: {val_fraction}
"""


def _settings(lr: float = 0.002, val_fraction: float = 0.1) -> str:
    return SETTINGS.format(lr=lr, val_fraction=val_fraction)


def _ran(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", output)


@pytest.fixture(scope="module")
def reproduced(make_project: Callable[..., Any]) -> Any:
    """A copy of the project after its first `dvc repro`, committed. Tests leave it as they found it."""
    project = make_project("dvc", _settings())
    done = project.run("dvc", "repro")
    assert _ran(done.stdout) == ["params", "ingest", "prepare", "train", "evaluate"]
    project.commit("the first reproduction")
    return project


@pytest.fixture
def restored(reproduced: Any) -> Iterator[Any]:
    """`reproduced` for a test that changes something; put back from DVC's cache, without running a stage."""
    yield reproduced
    reproduced.settings(_settings())
    reproduced.run("git", "checkout", "--quiet", "--force", "main")
    reproduced.run("dvc", "checkout", "--force")


def test_git_sees_only_the_lock_and_the_composed_parameters_change(reproduced: Any) -> None:
    changed = reproduced.run("git", "show", "--name-only", "--format=", "HEAD").stdout.split()
    assert changed == ["dvc.lock", "params.yaml"]
    assert reproduced.run("git", "status", "--porcelain").stdout == ""


def test_a_second_repro_runs_nothing(reproduced: Any) -> None:
    again = reproduced.run("dvc", "repro")
    assert _ran(again.stdout) == []
    assert "Data and pipelines are up to date." in again.stdout + again.stderr
    assert "up to date" in reproduced.run("dvc", "status").stdout


def test_repro_and_kedro_run_give_the_same_metrics(reproduced: Any, make_project: Callable[..., Any]) -> None:
    other = make_project("kedro", _settings())
    other.run("kedro", "run")
    path = Path("data/08_reporting/metrics.json")
    assert (other.root / path).read_bytes() == (reproduced.root / path).read_bytes()
    assert (other.root / "data/08_reporting/history.csv").read_text().splitlines()[1:] != []


def test_one_mlflow_run_has_the_parameters_and_metrics_of_all_stages(reproduced: Any) -> None:
    (run,) = reproduced.runs()
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer.lr"] == "0.002"
    assert run.data.metrics["test/acc"] == reproduced.metrics()["test/acc"]
    assert "train/loss" in run.data.metrics


def test_metrics_show(reproduced: Any) -> None:
    shown = json.loads(reproduced.run("dvc", "metrics", "show", "--json").stdout)
    files = shown[""]["data"]
    assert files["data/08_reporting/metrics.json"]["data"] == reproduced.metrics()


def test_params_diff(reproduced: Any) -> None:
    diff = json.loads(reproduced.run("dvc", "params", "diff", "--json", "HEAD~1").stdout)
    assert diff["params.yaml"]["trainer.max_epochs"] == {"old": 20, "new": 1, "diff": -19}


def test_the_page_of_plots_needs_no_network(reproduced: Any) -> None:
    reproduced.run("dvc", "plots", "show")
    page = (reproduced.root / "data/08_reporting/plots/index.html").read_text()
    assert re.findall(r"""(?:src|href)\s*=\s*["']?http""", page) == []
    specs = [json.loads(found) for found in re.findall(r"var spec = (\{.*\});", page)]
    history, confusion = sorted(specs, key=lambda spec: "facet" in spec)
    assert {row["field"] for row in history["data"]["values"]} == {"train/loss", "val/loss", "train/acc", "val/acc"}
    assert len(confusion["data"]["values"]) == reproduced.metrics()["test/count"]


@pytest.mark.slow
def test_a_new_learning_rate_reruns_training_and_what_follows(restored: Any) -> None:
    before = restored.metrics()
    restored.settings(_settings(lr=0.01))
    assert _ran(restored.run("dvc", "repro").stdout) == ["params", "train", "evaluate"]
    diff = json.loads(restored.run("dvc", "metrics", "diff", "--json").stdout)["data/08_reporting/metrics.json"]
    assert diff["test/loss"]["old"] == before["test/loss"]
    assert diff["test/loss"]["new"] == restored.metrics()["test/loss"] != before["test/loss"]
    changed = json.loads(restored.run("dvc", "params", "diff", "--json").stdout)["params.yaml"]
    assert list(changed) == ["optimizer.lr"]


@pytest.mark.slow
def test_a_new_preparation_reruns_from_prepare(restored: Any) -> None:
    restored.settings(_settings(val_fraction=0.2))
    assert _ran(restored.run("dvc", "repro").stdout) == ["params", "prepare", "train", "evaluate"]


@pytest.mark.slow
def test_going_back_runs_nothing(restored: Any) -> None:
    before = restored.metrics()
    restored.settings(_settings(lr=0.02))
    restored.run("dvc", "repro")
    restored.settings(_settings())
    assert "train" not in _ran(restored.run("dvc", "repro").stdout)
    assert restored.metrics() == before


@pytest.mark.slow
def test_an_experiment_composes_other_members(restored: Any) -> None:
    count = len(restored.runs())
    restored.run("dvc", "exp", "run", "--name", "deep", "--set-param", "model=deep_mnist")
    rows = list(csv.DictReader(io.StringIO(restored.run("dvc", "exp", "show", "--csv").stdout)))
    (deep,) = [row for row in rows if row["Experiment"] == "deep"]
    assert deep["model.name"] == "deep_mnist"
    assert float(deep["test/acc"]) == pytest.approx(restored.metrics()["test/acc"], abs=1e-4)
    newest, *older = restored.runs()
    assert (len(older), newest.data.params["model.name"]) == (count, "deep_mnist")
    assert _ran(restored.run("dvc", "repro", "--downstream", "train").stdout) == []


@pytest.mark.slow
def test_an_experiment_in_a_copy_keeps_its_run(restored: Any) -> None:
    count = len(restored.runs())
    restored.run("dvc", "exp", "run", "--temp", "--name", "wide", "-S", "optimizer.lr=0.005")
    newest, *older = restored.runs()
    assert (len(older), newest.info.status, newest.data.params["optimizer.lr"]) == (count, "FINISHED", "0.005")
    assert Path(newest.info.artifact_uri.removeprefix("file://")).is_relative_to(restored.root)
    rows = list(csv.DictReader(io.StringIO(restored.run("dvc", "exp", "show", "--csv").stdout)))
    (wide,) = [row for row in rows if row["Experiment"] == "wide"]
    assert (wide["optimizer.lr"], wide["trainer.max_epochs"]) == ("0.005", "1")


@pytest.mark.slow
def test_a_queued_grid_has_an_experiment_and_a_run_for_each_training(restored: Any) -> None:
    count = len(restored.runs())
    restored.run("dvc", "exp", "run", "--queue", "-S", "model=tf_mnist", "-S", "optimizer.lr=0.003,0.03")
    assert restored.run("dvc", "queue", "status").stdout.count("Queued") == 2
    restored.run("dvc", "exp", "run", "--run-all")
    rows = list(csv.DictReader(io.StringIO(restored.run("dvc", "exp", "show", "--csv").stdout)))
    made = {row["Experiment"]: row for row in rows if row["model.name"] == "tf_mnist"}
    assert sorted(row["optimizer.lr"] for row in made.values()) == ["0.003", "0.03"]
    runs = restored.runs()[: len(restored.runs()) - count]
    assert len(runs) == 2
    for run in runs:
        row = made[run.data.tags["dvc_exp_name"]]
        assert run.info.status == "FINISHED"
        assert (run.data.params["model.name"], run.data.params["optimizer.lr"]) == ("tf_mnist", row["optimizer.lr"])
        assert run.data.metrics["test/acc"] == pytest.approx(float(row["test/acc"]), abs=1e-4)
    assert restored.run("git", "status", "--porcelain").stdout == ""  # the workspace stays as it was


@pytest.mark.slow
def test_pushed_results_can_be_pulled(reproduced: Any) -> None:
    remote = reproduced.root.parent / "remote"
    reproduced.run("dvc", "remote", "add", "--local", "--force", "--default", "there", str(remote))
    reproduced.run("dvc", "push")
    before = reproduced.metrics()
    shutil.rmtree(reproduced.root / ".dvc" / "cache")
    for name in ("02_intermediate", "05_model_input", "06_models", "07_model_output", "08_reporting"):
        shutil.rmtree(reproduced.root / "data" / name)
    reproduced.run("dvc", "pull")
    assert reproduced.metrics() == before
    assert "up to date" in reproduced.run("dvc", "status").stdout


def _wait_for(found: Callable[[], bool], seconds: float, process: Any) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < end, "nothing to kill came up"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_reproduction_goes_on(make_project: Callable[..., Any]) -> None:
    settings = """\
trainer: {max_epochs: 3}
callbacks: {checkpoint: {every_n_steps: 5}}
evaluate: {gallery: 4}
"""
    whole, killed = make_project("whole", settings), make_project("killed", settings)
    whole.run("dvc", "repro")

    process = killed.start("dvc", "repro")
    work = killed.root / "data" / "06_models" / "_work"
    _wait_for(lambda: any(work.glob("*/step-*.json")), 240, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed.root / "data/08_reporting/metrics.json").exists()

    again = killed.run("dvc", "repro")
    assert _ran(again.stdout) == ["train", "evaluate"]
    assert killed.metrics() == whole.metrics()
    finished = [run.info.status for run in killed.runs()]
    assert finished == ["FINISHED"]
    assert not any(work.glob("*/"))


@pytest.mark.slow
def test_a_training_that_dvc_had_no_time_to_note_is_not_lost(make_project: Callable[..., Any]) -> None:
    project = make_project("unnoted", "trainer: {max_epochs: 1, limit_batches: 5}\nevaluate: {gallery: 4}\n")
    project.run("dvc", "repro", "prepare")
    before = (project.root / "dvc.lock").read_bytes()
    project.run("dvc", "repro", "train")
    trained = (project.root / "data/06_models/model/model.safetensors").read_bytes()
    (project.root / "dvc.lock").write_bytes(before)  # as after a kill at the end of the stage
    shutil.rmtree(project.root / ".dvc/cache/runs")

    again = project.run("dvc", "repro")
    assert _ran(again.stdout) == ["train", "evaluate"]
    assert (project.root / "data/06_models/model/model.safetensors").read_bytes() == trained
    (run,) = project.runs()
    assert run.data.tags["stage.train"] == run.data.tags["stage.evaluate"] == "done"
    assert not any((project.root / "data/06_models/_work").glob("*/"))
