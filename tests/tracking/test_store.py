from __future__ import annotations

import multiprocessing
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from fovea import tracking
from fovea.tracking import database, reach, store, uri

Configure = Callable[..., None]


def test_first_opening_makes_database_and_experiment_under_the_root(bare_root: Path) -> None:
    opened = store.open_store(uri.resolve(None), "fovea")
    found = opened.client.get_experiment_by_name("fovea")
    assert found is not None
    assert found.experiment_id == opened.experiment_id
    assert found.artifact_location == (bare_root / "mlartifacts").as_uri()
    assert opened.client.get_experiment("0").artifact_location.startswith((bare_root / "mlartifacts").as_uri())
    assert "One run is one trained model" in found.tags["mlflow.note.content"]
    assert "test/acc" in found.tags["mlflow.sharedViewState.fovea"]


@pytest.mark.slow
def test_schema_is_mlflows_newest(bare_root: Path, tmp_path: Path) -> None:
    file = bare_root / uri.DATABASE
    database.create(file)
    by_mlflow = tmp_path / "by_mlflow.db"
    MlflowClient(f"sqlite:///{by_mlflow}").search_experiments(max_results=1)

    def schema(path: Path) -> list[tuple[str, list[str]]]:
        # The members of a CHECK come in any order, from one making to the next.
        with sqlite3.connect(path) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
            return [(name, sorted(re.findall(r"\w+", sql))) for name, sql in rows]

    assert schema(file) == schema(by_mlflow)
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_second_opening_finds_both(root: Path) -> None:
    first = store.open_store(uri.resolve(None), "fovea")
    first.client.set_experiment_tag(first.experiment_id, "mlflow.note.content", "mine")
    second = store.open_store(uri.resolve(None), "fovea")
    assert second.experiment_id == first.experiment_id
    found = second.client.get_experiment(second.experiment_id)
    assert found.tags["mlflow.note.content"] == "mine"


def _touch(root: str, results: multiprocessing.Queue[str]) -> None:
    opened = store.open_store(f"sqlite:///{root}/mlflow.db", "fovea")
    opened.client.create_run(opened.experiment_id)
    results.put(opened.experiment_id)


@pytest.mark.slow
def test_four_processes_may_be_first_at_once(bare_root: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_touch, args=(str(bare_root), results)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert len({results.get() for _ in range(4)}) == 1
    opened = store.open_store(uri.resolve(None), "fovea")
    assert len(opened.client.search_runs([opened.experiment_id])) == 4
    assert [one.name for one in opened.client.search_experiments()].count("fovea") == 1


def test_a_stop_on_the_way_leaves_no_half_database(bare_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.db import utils

    def stop(_engine: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "_initialize_tables", stop)
    with pytest.raises(KeyboardInterrupt):
        store.open_store(uri.resolve(None), "fovea")
    assert not list(bare_root.glob("*.db")) + list(bare_root.glob(".*.tmp"))


def test_an_empty_file_in_the_place_of_the_database_is_no_obstacle(bare_root: Path) -> None:
    (bare_root / uri.DATABASE).touch()
    assert store.open_store(uri.resolve(None), "fovea").experiment_id


def test_a_deleted_experiment_is_said_with_the_way_out(root: Path) -> None:
    opened = store.open_store(uri.resolve(None), "fovea")
    opened.client.delete_experiment(opened.experiment_id)
    with pytest.raises(reach.OutOfReachError, match=r"mlflow experiments restore -x \d+"):
        store.open_store(uri.resolve(None), "fovea")


def test_a_file_that_is_no_database_is_said(bare_root: Path) -> None:
    (bare_root / uri.DATABASE).write_text("not a database, but longer than the header of one" * 100)
    with pytest.raises(reach.OutOfReachError, match="the file is not a database"):
        store.open_store(uri.resolve(None), "fovea")


def test_a_moved_project_keeps_its_artifacts(
    configure: Configure, root: Path, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        run.log_text("before", "note.txt")
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    client.create_registered_model("kept")
    client.create_model_version("kept", f"{client.get_run(str(run.run_id)).info.artifact_uri}/note.txt", run.run_id)
    moved = root.with_name("moved here")
    shutil.move(root, moved)
    monkeypatch.setenv("FOVEA_ROOT", str(moved))
    _artifact_repos_cache.clear()  # as in another process
    configure()
    with tracking.stage("evaluate", moved / record.relative_to(root)) as run:
        run.log_text("after", "more.txt")
    assert not root.exists()
    client = MlflowClient(f"sqlite:///{moved}/mlflow.db")
    names = [one.path for one in client.list_artifacts(str(run.run_id))]
    assert names == ["config", "more.txt", "note.txt"]
    assert Path(client.download_artifacts(str(run.run_id), "note.txt")).read_text() == "before"
    assert client.get_model_version_download_uri("kept", "1").endswith("/note.txt")
    assert client.get_model_version_download_uri("kept", "1").startswith(moved.as_uri())


def test_a_database_copied_alone_leaves_earlier_artifacts_where_they_are(
    configure: Configure, root: Path, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        run.log_text("before", "note.txt")
    other = root.with_name("other")
    (other / "conf").mkdir(parents=True)
    (other / "pyproject.toml").touch()
    shutil.copy(root / uri.DATABASE, other / uri.DATABASE)
    monkeypatch.setenv("FOVEA_ROOT", str(other))
    opened = store.open_store(uri.resolve(None), "fovea")
    assert opened.client.get_experiment(opened.experiment_id).artifact_location == (other / "mlartifacts").as_uri()
    assert opened.client.get_run(str(run.run_id)).info.artifact_uri.startswith((root / "mlartifacts").as_uri())
