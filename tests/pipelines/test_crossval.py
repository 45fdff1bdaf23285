"""The crossval pipeline on real digits, in a shortened form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fovea import tracking
from fovea.config.compose import compose
from fovea.core.errors import Interrupted, UserError
from fovea.evaluation import crossval as module
from fovea.evaluation.summary import crossval_line
from fovea.pipeline_registry import register_pipelines
from fovea.pipelines.crossval.nodes import crossval
from fovea.pipelines.train.nodes import SECTIONS
from fovea.training.workfolder import let_go

SHORT = [
    "model=fast_mnist",
    "trainer.max_epochs=1",
    "trainer.limit_batches=3",
    "callbacks.progress=none",
    "augment=none",
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    yield root
    let_go(remove=True)
    tracking.close("KILLED")


@pytest.fixture
def run(project: Path, digits: Any, root: Path) -> Callable[..., Any]:
    """The node with the project's own configuration and some overrides."""

    def call(*overrides: str) -> Any:
        config = compose(project / "conf", [*SHORT, *overrides]).config
        return crossval(digits, config["crossval"], config["evaluate"], *(config[name] for name in SECTIONS))

    return call


def works(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "data/06_models/_work").glob("*/"))


def test_the_pipeline_goes_from_source_files_to_the_estimate() -> None:
    pipeline = register_pipelines()["crossval"]
    assert [node.name for node in pipeline.nodes] == ["ingest", "prepare", "crossval"]
    assert {"crossval", "crossval_folds", "out_of_fold"} <= pipeline.outputs()
    assert all(name.startswith("params:") for name in pipeline.inputs())


def test_each_picture_is_judged_once_by_a_model_that_did_not_see_it(run: Any, digits: Any, root: Path) -> None:
    summary, folds, predictions = run("crossval.folds=2")
    ids = [name for split in ("train", "val") for name in digits.split(split).ids]
    assert predictions["id"].tolist() == ids
    assert predictions["split"].value_counts().to_dict() == {
        name: digits.meta.counts[name] for name in ("train", "val")
    }
    right = (predictions["label"] == predictions["predicted"]).to_numpy()
    by_fold = [right[predictions["fold"] == number].mean() for number in (1, 2)]
    np.testing.assert_allclose(folds["acc"], by_fold)
    assert folds["count"].sum() == len(ids) == summary["pooled/count"]
    assert (folds["train_count"] + folds["count"]).tolist() == [len(ids)] * 2
    assert summary["val/acc"] == pytest.approx(np.mean(by_fold))
    assert summary["val/acc_std"] == pytest.approx(abs(by_fold[0] - by_fold[1]) / 2**0.5)
    assert summary["pooled/acc"] == pytest.approx(right.mean())
    assert summary["pooled/acc_low"] < summary["pooled/acc"] < summary["pooled/acc_high"]
    assert crossval_line(summary, 0.95).startswith(f"crossval: val/acc {100 * np.mean(by_fold):.2f} % +- ")
    assert f"(2 folds; pooled {100 * right.mean():.2f} %, 95 % interval " in crossval_line(summary, 0.95)
    assert len(works(root)) == 3
    let_go(remove=True)
    assert works(root) == []


@pytest.mark.slow
def test_a_stopped_study_goes_on_at_its_fold(run: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("crossval.folds=3")
    let_go(remove=True)
    trained: list[int] = []
    real = module.train

    def train(job: Any, fold: Any, tags: Any) -> Any:
        if fold.number == 3 and 3 not in trained:
            trained.append(3)
            let_go(remove=False)
            raise Interrupted(15)
        trained.append(fold.number)
        return real(job, fold, tags)

    monkeypatch.setattr(module, "train", train)
    with pytest.raises(Interrupted):
        run("crossval.folds=3")
    again = run("crossval.folds=3")
    assert trained == [1, 2, 3, 3]
    assert again[0] == whole[0]
    assert again[2].drop(columns="probabilities").equals(whole[2].drop(columns="probabilities"))
    let_go(remove=True)
    assert works(root) == []


@pytest.mark.slow
def test_every_fold_has_its_run_below_the_study(run: Any, root: Path) -> None:
    from mlflow import MlflowClient

    tracking.configure({"experiment": "fovea", "uri": None, "on_error": "stop"})
    tracking.hold_open()
    summary, folds, _ = run("crossval.folds=2")
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("fovea").experiment_id
    states = {one.info.run_id: one.info.status for one in client.search_runs([experiment])}
    assert states == {summary["run_id"]: "RUNNING", **dict.fromkeys(folds["run_id"], "FINISHED")}
    tracking.close("FINISHED")
    parent = client.get_run(summary["run_id"])
    assert (parent.info.status, parent.data.tags["stage.crossval"]) == ("FINISHED", "done")
    assert parent.data.metrics["val/acc"] == summary["val/acc"]
    assert [point.value for point in client.get_metric_history(summary["run_id"], "fold/acc")] == folds["acc"].tolist()
    listed = {
        entry.path
        for folder in ("crossval", "predictions")
        for entry in client.list_artifacts(summary["run_id"], folder)
    }
    assert listed == {"crossval/crossval.json", "crossval/folds.csv", "predictions/predictions.parquet"}
    for number, run_id in zip(folds["fold"], folds["run_id"], strict=True):
        child = client.get_run(run_id)
        assert child.data.tags["mlflow.parentRunId"] == summary["run_id"]
        assert (child.data.tags["fold"], child.data.tags["crossval"]) == (f"{number}/2", summary["run_name"])
        assert child.data.metrics["fold/acc"] == folds["acc"][number - 1]
        assert child.data.tags["data_run"] == parent.data.tags["data_run"]
        assert "model/model.safetensors" in {entry.path for entry in client.list_artifacts(run_id, "model")}


def test_wrong_input_is_one_sentence(run: Any, root: Path) -> None:
    for override, words in (
        ("crossval.folds=1", r"crossval\.folds"),
        ("crossval.folds=100000", r"crossval\.folds=100000, but class '.' has \d+ pictures"),
        ("crossval.splits=[train,vall]", r"crossval\.splits"),
        ("crossval.splits=[]", r"crossval\.splits"),
        ("data=mnist", r"holds 'digits', but the config says data\.name=mnist"),
        ("trainer.precision=16", r"trainer\.precision=16 needs a GPU"),
    ):
        with pytest.raises(UserError, match=words):
            run(override)
    assert works(root) == []


def test_the_result_of_a_fold_is_kept_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    facts = module.FoldFacts(1, "net-1", None, 10, 5, 0.8, 0.5, 2)
    result = module.FoldResult(facts, np.full((5, 2), 0.5))
    result.write(tmp_path / "fold-1.npz")
    again = module.FoldResult.read(tmp_path / "fold-1.npz")
    assert again is not None
    assert again.facts == facts
    np.testing.assert_array_equal(again.probabilities, result.probabilities)
    (tmp_path / "fold-3.npz").write_bytes((tmp_path / "fold-1.npz").read_bytes()[:-50])
    for name in ("fold-2.npz", "fold-3.npz"):
        assert module.FoldResult.read(tmp_path / name) is None
    assert json.loads(json.dumps(module.summarise([facts, facts], outcome(), 0.95)))["val/acc_std"] == 0.0


def outcome() -> Any:
    from fovea.evaluation.outcome import Outcome

    return Outcome(["a", "b"], np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
