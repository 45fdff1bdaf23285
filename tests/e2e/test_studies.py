"""Cross-validation and ensembles by their commands: stopped, gone on with, and with members from everywhere."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = """\
trainer: {max_epochs: 2, limit_batches: 12}
callbacks: {checkpoint: {every_n_steps: 4}}
augment: {train: []}
crossval: {folds: 3}
evaluate: {gallery: 4}
"""
CROSSVAL = ("kedro", "run", "--pipelines=crossval")
ENSEMBLE = ("kedro", "run", "--pipelines=ensemble")


def summary(project: Any, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project.root / f"data/08_reporting/{name}.json").read_text())
    return content


def table(project: Any, name: str) -> pd.DataFrame:
    return pd.read_csv(project.root / f"data/08_reporting/{name}.csv")


def works(project: Any) -> list[Path]:
    return sorted((project.root / "data/06_models/_work").glob("*/"))


def wait_for(happened: Callable[[], object], process: Any, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "the command ended before there was anything to stop"
        assert time.monotonic() < end, "nothing to stop came up"
        time.sleep(0.02)


def test_a_stopped_crossval_goes_on_in_the_fold_where_it_was(make_project: Callable[..., Any]) -> None:
    whole = make_project("whole", SETTINGS)
    said = whole.run(*CROSSVAL).stderr
    assert "crossval: val/acc " in said
    project = make_project("stopped", SETTINGS)
    process = project.start(*CROSSVAL)
    wait_for(lambda: list((project.root / "data/06_models/_work").glob("crossval-*/fold-1.npz")), process)
    wait_for(
        lambda: len({path.parent for path in (project.root / "data/06_models/_work").glob("*/step-*.json")}) == 2,
        process,
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 143
    states = sorted(run.info.status for run in project.runs())
    assert states == ["FINISHED", "KILLED", "KILLED"]  # the first fold; the second, and the study
    again = project.run(*CROSSVAL)
    said = again.stdout + again.stderr
    assert said.count("going on from") == 1
    assert said.count("train: lenet5") == 2  # the second fold and the third
    assert [run.info.status for run in project.runs()] == ["FINISHED"] * 4
    assert not [run for run in project.runs() if "error" in run.data.tags]
    mine, theirs = summary(project, "crossval"), summary(whole, "crossval")
    for one in (mine, theirs):
        for facts in (one, *one["by_fold"]):
            facts.pop("run_id")
    assert mine == theirs
    predictions = [pd.read_parquet(one.root / "data/07_model_output/out_of_fold.parquet") for one in (project, whole)]
    assert predictions[0]["probability"].equals(predictions[1]["probability"])
    assert works(project) == []
    assert project.temporaries() == []


def test_members_by_seed_by_folder_and_by_run(make_project: Callable[..., Any]) -> None:
    project = make_project("ensemble", SETTINGS)
    said = project.run(*ENSEMBLE, "ensemble.seeds=[1,2]").stderr
    line = next(line for line in said.splitlines() if line.startswith("ensemble: soft "))
    first = summary(project, "ensemble")
    assert line.endswith(f"2 members, {2 * 61706:,} parameters")
    assert [row["member"] for row in first["members"]] == ["seed 1", "seed 2"]
    assert first["best"]["chosen_by"] == "val/acc"
    by_id = {run.info.run_id: run for run in project.runs()}
    assert sorted(run.info.status for run in by_id.values()) == ["FINISHED"] * 3
    for row in first["members"]:
        run = by_id[row["run_id"]]
        assert run.data.tags["mlflow.parentRunId"] == first["run_id"]
        assert (run.data.metrics["test/acc"], run.data.params["seed"]) == (row["test/acc"], str(row["seed"]))
    assert by_id[first["run_id"]].data.tags["member.2"] == first["members"][1]["run_id"]
    assert works(project) == []

    project.run("kedro", "run")
    names = ["data/06_models/model", first["members"][0]["run_name"], first["members"][1]["run_id"]]
    project.run(*ENSEMBLE, f"ensemble.members=[{','.join(names)}]")
    second = summary(project, "ensemble")
    assert [row["member"] for row in second["members"]] == names
    assert [row["test/acc"] for row in second["members"]] == [
        project.metrics()["test/acc"],
        *(row["test/acc"] for row in first["members"]),
    ]
    assert all(row["same_data"] for row in second["members"])
    votes = pd.read_parquet(project.root / "data/07_model_output/ensemble_predictions.parquet")
    assert second["test/acc"] == (votes["label"] == votes["predicted"]).mean()
    assert second["test/acc_hard"] == (votes["label"] == votes["hard"]).mean()
    assert table(project, "ensemble_members")["parameters"].sum() == second["parameters"] == 3 * 61706

    before = project.outputs()
    copy = project.root / "copy"
    shutil.copytree(project.root / "data/06_models/model", copy)
    twice = f"ensemble.members=[data/06_models/model,{copy.name}]"
    assert "hold the same weights" in project.refused(*ENSEMBLE, twice, code=2, before=before)
    (copy / "model.safetensors").write_bytes(b"damaged")
    assert f"member '{copy.name}' of the ensemble cannot be used: " in project.refused(
        *ENSEMBLE, twice, code=1, before=before
    )
    sentence = project.refused(*ENSEMBLE, f"ensemble.members=[{names[0]},{names[1][:-1]}]", code=2, before=before)
    assert f"did you mean '{names[1]}'?" in sentence
    assert "needs at least 2 members" in project.refused(*ENSEMBLE, code=2, before=before)
