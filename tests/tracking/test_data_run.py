"""A version of the data has one run of its own, however many trainings there are, and whether MLflow answers or not."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from fovea import tracking
from fovea.tracking.replay import sync

Configure = Callable[..., None]
QUALITY = {
    "kept": 18,
    "left_out": 1,
    "quarantined": 1,
    "near_duplicates": 2,
    "reasons": {"duplicate": 1, "empty": 1},
    "classes": {"cat": 9, "dog": 9},
    "note": "text",
}


def prepared_in(folder: Path, digest: str = "da" * 32) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data_report.html").write_text("<html>")
    (folder / "data_report.json").write_text("{}")
    (folder / "shard-00000.arrow").write_bytes(b"\x00" * 100)
    meta = SimpleNamespace(
        name="pets",
        classes=("cat", "dog"),
        counts={"train": 14, "val": 2, "test": 2},
        digest=digest,
        source_digest="50" * 32,
        settings={"prepare": {"val_fraction": 0.1, "resize": None}},
        quality=QUALITY,
    )
    return SimpleNamespace(path=folder, meta=meta)


@pytest.fixture
def prepared(tmp_path: Path) -> Any:
    return prepared_in(tmp_path / "pets")


@pytest.fixture
def data_runs(client: MlflowClient) -> Callable[[], list[Run]]:
    def read() -> list[Run]:
        found = client.get_experiment_by_name("fovea-data")
        return list(client.search_runs([found.experiment_id])) if found else []

    return read


def train(record: Path, prepared: Any) -> None:
    with tracking.stage("train", record=record, run_name=record.parent.name) as run:
        tracking.log_data(run, prepared)


def test_the_run_tells_the_data_and_the_training_names_it(
    configure: Configure,
    record: Path,
    prepared: Any,
    runs: Callable[[], list[Run]],
    data_runs: Callable[[], list[Run]],
    client: MlflowClient,
) -> None:
    configure()
    train(record, prepared)
    (training,) = runs()
    (data,) = data_runs()
    assert training.data.tags["data_run"] == data.info.run_id
    assert (data.info.run_name, data.info.status) == ("pets-dadadadadada", "FINISHED")
    assert data.data.params == {"classes": "2", "prepare.val_fraction": "0.1", "prepare.resize": "null"}
    assert data.data.metrics == {
        "split/train": 14,
        "split/val": 2,
        "split/test": 2,
        "kept": 18,
        "left_out": 1,
        "quarantined": 1,
        "near_duplicates": 2,
        "reasons/duplicate": 1,
        "reasons/empty": 1,
    }
    assert {file.path for file in client.list_artifacts(data.info.run_id)} == {"data_report.html", "data_report.json"}
    for run, context in ((training, "training"), (data, "prepared")):
        (used,) = run.inputs.dataset_inputs
        assert used.dataset.digest == "da" * 6
        assert [tag.value for tag in used.tags] == [context]
        assert json.loads(used.dataset.profile)["quality"] == QUALITY


def test_further_trainings_find_it_and_leave_it_as_it_is(
    configure: Configure,
    root: Path,
    prepared: Any,
    runs: Callable[[], list[Run]],
    data_runs: Callable[[], list[Run]],
) -> None:
    configure()
    train(root / "one" / "run.json", prepared)
    (before,) = data_runs()
    configure()
    train(root / "two" / "run.json", prepared)
    (after,) = data_runs()
    assert after.to_dictionary() == before.to_dictionary()
    assert [run.data.tags["data_run"] for run in runs()] == [before.info.run_id] * 2


def test_another_version_of_the_data_has_another_run(
    configure: Configure, root: Path, tmp_path: Path, data_runs: Callable[[], list[Run]]
) -> None:
    configure()
    for number, digest in enumerate(["0a" * 32, "0b" * 32]):
        train(root / str(number) / "run.json", prepared_in(tmp_path / digest, digest))
    assert {run.info.run_name for run in data_runs()} == {"pets-0a0a0a0a0a0a", "pets-0b0b0b0b0b0b"}


def test_a_run_that_was_interrupted_is_completed_by_the_next_training(
    configure: Configure,
    root: Path,
    prepared: Any,
    data_runs: Callable[[], list[Run]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure()
    with monkeypatch.context() as patched:

        def stop(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(tracking.Run, "log_artifact", stop)
        with pytest.raises(KeyboardInterrupt):
            train(root / "one" / "run.json", prepared)
    assert [run.info.status for run in data_runs()] == ["KILLED"]
    configure()
    train(root / "two" / "run.json", prepared)
    (data,) = data_runs()
    assert data.info.status == "FINISHED"
    assert data.data.metrics["near_duplicates"] == 2


def test_journals_of_two_trainings_become_one_run(
    configure: Configure,
    root: Path,
    prepared: Any,
    client: MlflowClient,
    runs: Callable[[], list[Run]],
    data_runs: Callable[[], list[Run]],
    journals: Callable[[], list[Path]],
    locked: sqlite3.Connection,
) -> None:
    for name in ("one", "two"):
        configure()
        train(root / name / "run.json", prepared)
    assert len(journals()) == 4
    locked.close()
    assert sync(None) == (4, [])
    (data,) = data_runs()
    assert data.info.status == "FINISHED"
    assert data.data.metrics["kept"] == 18
    assert {file.path for file in client.list_artifacts(data.info.run_id)} == {"data_report.html", "data_report.json"}
    keys = {run.data.tags["data_run"] for run in runs()}
    assert keys == {data.data.tags["run_key"]}
    assert journals() == []


def _train(root: str, name: str, start: Any) -> None:
    tracking.configure({"experiment": "fovea", "uri": None, "on_error": "stop"})
    start.wait(30)
    train(Path(root) / name / "run.json", prepared_in(Path(root) / f"pets-{name}"))


@pytest.mark.slow
def test_processes_at_one_moment_make_one_run(root: Path, data_runs: Callable[[], list[Run]]) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Barrier(3)
    processes = [context.Process(target=_train, args=(str(root), str(number), start)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(data_runs()) == 1


def test_ranks_other_than_the_first_log_nothing(
    configure: Configure,
    record: Path,
    prepared: Any,
    data_runs: Callable[[], list[Run]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure()
    monkeypatch.setenv("RANK", "1")
    train(record, prepared)
    assert data_runs() == []


def test_the_experiment_says_what_its_runs_are(
    configure: Configure, record: Path, prepared: Any, client: MlflowClient
) -> None:
    configure()
    train(record, prepared)
    tags = client.get_experiment_by_name("fovea-data").tags
    assert "One run is one version of a data set" in tags["mlflow.note.content"]
    assert "test/acc" not in tags["mlflow.sharedViewState.fovea"]
