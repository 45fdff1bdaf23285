"""`kedro tune` by its command: stopped and gone on with, its best trial taken up, and mistakes refused."""

from __future__ import annotations

import csv
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = """\
trainer: {limit_batches: 12}
callbacks: {checkpoint: {every_n_steps: 4}}
augment: {train: []}
evaluate: {gallery: 4, grad_cam: 0, maps: 0, embedding_map: 0}
"""
SPACE = """\
overrides: [trainer.max_epochs=2]
startup_trials: 1
warmup_epochs: 0
n_trials: 3
parameters:
  optimizer.lr: {low: 1.0e-3, high: 1.0e-2, log: true}
  loader.batch_size: [32, 64]
"""
TUNE = ("kedro", "tune", "--space", "small", "--study", "mine")


def table(project: Any) -> list[dict[str, str]]:
    with (project.root / "data/08_reporting/tune/mine/trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def stopped(make_project: Callable[..., Any]) -> Any:
    """A project whose search was stopped in its first trial and then went on to its end; `said` is what it said."""
    project = make_project("tune", SETTINGS)
    (project.root / "conf/tune/small.yaml").write_text(SPACE)
    process = project.start(*TUNE)
    end = time.monotonic() + 300
    while not list((project.root / "data/06_models/_work").glob("lenet5-*/step-*.json")):
        assert process.poll() is None, "the search ended before it could be stopped"
        assert time.monotonic() < end, "no trial came up"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 143
    said = (project.root.parent / "output.log").read_text()
    assert said.splitlines()[-1].endswith(f"go on with: {' '.join(TUNE)}")
    done = project.run(*TUNE)
    return project, done


def test_a_stopped_search_goes_on_in_the_trial_where_it_was(stopped: Any) -> None:
    project, done = stopped
    rows = table(project)
    assert [row["state"] for row in rows][:2] == ["stopped", "complete"]
    assert rows[0]["overrides"] == rows[1]["overrides"]
    log = (project.root / "logs/fovea.log").read_text()
    assert log.count("going on from") == 1
    best = max((row for row in rows if row["state"] == "complete"), key=lambda row: float(row["val/acc"]))
    assert done.stdout == best["overrides"] + "\n"
    assert "Traceback" not in done.stderr


def test_each_trial_has_a_run_below_that_of_the_search(stopped: Any) -> None:
    project, _ = stopped
    runs = {run.info.run_id: run for run in project.runs()}
    (parent,) = [run for run in runs.values() if run.info.run_name == "mine"]
    children = [run for run in runs.values() if run.data.tags.get("tune") == "mine"]
    assert len(runs) == 1 + len(children) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    status = {"complete": "FINISHED", "pruned": "KILLED"}
    for row in table(project)[1:]:
        run = runs[row["run_id"]]
        assert run.info.status == status[row["state"]]
        assert ("halted" in run.data.tags) == (row["state"] == "pruned")
        assert "error" not in run.data.tags
        assert run.data.tags["overrides"] == row["overrides"]
        assert not [name for name in run.data.metrics if name.startswith("test/")]
    assert (parent.info.status, parent.data.metrics["trials/all"]) == ("FINISHED", 3.0)
    assert parent.data.params["tune.parameters.optimizer.lr.low"] == "0.001"
    folder = Path(parent.info.artifact_uri.removeprefix("file://")) / "tune"
    assert {path.name for path in folder.iterdir()} >= {"trials.csv", "study.json", "history.png", "parallel.png"}
    assert json.loads((folder / "study.json").read_text())["best"]["run_id"] in runs
    for picture in folder.glob("*.png"):
        assert Image.open(picture).width > 400


def test_the_best_trial_is_tested_without_being_trained_again(stopped: Any) -> None:
    project, done = stopped
    words = done.stdout.split()
    count = len(project.runs())
    said = project.run("kedro", "run", *words).stderr
    assert "was trained before; only what comes after was missing" in said
    assert len(project.runs()) == count
    best = max((row for row in table(project) if row["state"] == "complete"), key=lambda row: float(row["val/acc"]))
    (run,) = [run for run in project.runs() if run.info.run_id == best["run_id"]]
    assert run.data.metrics["test/acc"] == project.metrics()["test/acc"]
    assert "param_drift" not in run.data.tags


def test_a_finished_search_can_be_made_longer_by_several_processes(stopped: Any) -> None:
    project, _ = stopped
    before = table(project)
    done = project.run(*TUNE, "--trials", "5", "--workers", "2")
    rows = table(project)
    assert rows[: len(before)] == before
    assert [row["state"] in ("complete", "pruned") for row in rows[len(before) :]] == [True, True]
    assert done.stderr.count("tune: trial ") == 2
    left = {path.name for path in (project.root / "data/06_models/_work").glob("*/")}
    best = json.loads((project.root / "data/08_reporting/tune/mine/study.json").read_text())["best"]["run_name"]
    assert left <= {"tune-mine", best}


def test_mistakes_leave_everything_as_it_was(stopped: Any) -> None:
    project, _ = stopped
    before, runs = project.outputs(), len(project.runs())
    path = project.root / "conf/tune/small.yaml"
    try:
        for words, text, sentence in (
            (TUNE, SPACE.replace("1.0e-2", "1.0e-1"), "parameters.optimizer.lr.high was 0.01 and is 0.1"),
            ((*TUNE, "optimizer.lr=0.1"), SPACE, "sets what conf/tune/small.yaml searches"),
            ((*TUNE[:2], "--study", "a b"), SPACE, "--study=a b is no name"),
        ):
            path.write_text(text)
            assert sentence in project.refused(*words, code=2, before=before)
    finally:
        path.write_text(SPACE)
    assert len(project.runs()) == runs


def test_a_search_whose_trials_all_fail_says_why(stopped: Any) -> None:
    project, _ = stopped
    text = (
        "overrides: [trainer.max_epochs=1, optimizer=sgd]\nparameters: {optimizer.lr: {low: 1.0e+9, high: 1.0e+12}}\n"
    )
    (project.root / "conf/tune/wild.yaml").write_text(text)
    done = project.run("kedro", "tune", "--space", "wild", "--trials", "1", check=False)
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert "is complete (1 trial: 1 diverged): " in sentence
    assert "training diverged: " in sentence
    assert "Traceback" not in done.stderr


def test_a_search_in_an_environment_stays_in_it(stopped: Any) -> None:
    project, _ = stopped
    lab = project.root / "conf/lab"
    lab.mkdir()
    (lab / "overrides.yaml").write_text(SETTINGS + "optimizer: {weight_decay: 0.25}\n")
    words = ("--space", "small", "--study", "lab", "--trials", "1", "--env", "lab", "--train-best")
    done = project.run("kedro", "tune", *words)
    runs = [run for run in project.runs() if run.data.tags.get("tune") == "lab"]
    assert [run.data.params["optimizer.weight_decay"] for run in runs] == ["0.25"]
    assert runs[0].data.tags["command"] == f"kedro run {done.stdout.splitlines()[0]}"
    assert done.stdout.startswith("--env lab trainer.max_epochs=2 optimizer.lr=")
    assert "was trained before; only what comes after was missing" in done.stderr
    assert runs[0].data.metrics["test/acc"] == project.metrics()["test/acc"]
