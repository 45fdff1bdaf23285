"""Several runs at once in one project: each ends as if it were alone, and what they publish is all of one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fovea.shards import PreparedData

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = """\
trainer: {max_epochs: 1, limit_batches: 6, threads: 1}
evaluate: {gallery: 4}
"""
DIED = json.dumps({"pid": 2**22 + 1, "host": "elsewhere"})  # no process of this machine has such a number


def run_at_once(project: Any, *commands: Sequence[str]) -> list[str]:
    """Runs commands at once, which must all end well; gives what each said."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [subprocess.Popen(command, cwd=project.root, env=project.environment, **pipes) for command in commands]
    said = [process.communicate(timeout=600)[0] for process in processes]
    for process, text in zip(processes, said, strict=True):
        assert process.returncode == 0, text
        assert "Traceback" not in text
    return said


def check_published(project: Any, runs: Sequence[Any]) -> None:
    """Model, numbers and data below `data/` are those of one run."""
    model = json.loads((project.root / "data/06_models/model/model.json").read_text())
    record = json.loads((project.root / "data/06_models/model/run.json").read_text())
    (run,) = [run for run in runs if run.info.run_id == record["run_id"]]
    assert run.data.tags["config_digest"] == model["config_digest"]
    metrics = project.metrics()
    assert metrics["test/acc"] == run.data.metrics["test/acc"]
    assert metrics["test/loss"] == run.data.metrics["test/loss"]
    assert record["run_id"] in (project.root / "data/08_reporting/report/report.html").read_text()
    prepared = PreparedData.open(project.root / "data/05_model_input/prepared")
    assert prepared.meta.digest == model["data_digest"]
    assert project.temporaries() == []
    assert list((project.root / "data/06_models/_work").glob("*/")) == []


@pytest.fixture(scope="module")
def used(make_project: Callable[..., Any]) -> Any:
    """A project as cloned, with what processes that died may have left, in which two first runs were made at once."""
    project = make_project("at-once", SETTINGS)
    for lock in (
        "mlflow.db.lock",
        "data/06_models/_work/.publication.lock",
        "data/01_raw/digits/.mnist_5k.csv.gz.lock",
    ):
        path: Path = project.root / lock
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.with_name(f"{path.name}.holder").write_text(DIED)
    said = run_at_once(
        project,
        ["kedro", "run", "model=lenet5"],
        ["kedro", "run", "model=small_cnn", "prepare.val_fraction=0.2"],
    )
    assert sum(text.count("made the MLflow database") for text in said) == 1
    return project


def test_two_first_runs_of_different_configs(used: Any) -> None:
    runs = used.runs()
    assert {run.data.tags["choice.model"]: run.info.status for run in runs} == {
        "lenet5": "FINISHED",
        "small_cnn": "FINISHED",
    }
    assert len({run.data.tags["data_digest"] for run in runs}) == 2
    check_published(used, runs)


def test_a_sweep_of_four(used: Any) -> None:
    before = {run.info.run_id for run in used.runs()}
    said = run_at_once(used, *(["kedro", "run", f"seed={seed}"] for seed in (11, 12, 13, 14)))
    runs = [run for run in used.runs() if run.info.run_id not in before]
    assert sorted(run.data.params["seed"] for run in runs) == ["11", "12", "13", "14"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        (own,) = [text for text in said if run.info.run_name in text]
        assert f"{100 * run.data.metrics['test/acc']:.2f}" in own
    check_published(used, runs)
