from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from fovea.commands.sync import command
from fovea.core.errors import RunError
from fovea.tracking.journal import Journal


@pytest.fixture
def root(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(project / "conf/base", tmp_path / "conf/base")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    return tmp_path


def keep(uri: str, process: str = "", *, is_ended: bool = True) -> Path:
    head = {"op": "open", "key": "ab12", "name": "one", "time": 1, "experiment": "fovea", "uri": uri}
    journal = Journal("one", {**head, "tags": {"process": process} if process else {}})
    if is_ended:
        journal.append({"op": "end", "status": "FINISHED", "time": 2})
    return journal.path


def test_nothing_to_send(root: Path) -> None:
    done = CliRunner().invoke(command)
    assert (done.exit_code, done.stdout) == (0, "Nothing waits to be sent.\n")


def test_sends_and_deletes(root: Path) -> None:
    path = keep("sqlite:///mlflow.db")
    done = CliRunner().invoke(command)
    assert (done.exit_code, done.stdout) == (0, "Sent 1 run to MLflow.\n")
    assert not path.exists()
    (run,) = MlflowClient(f"sqlite:///{root}/mlflow.db").search_runs(["1"])
    assert (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time) == ("one", "FINISHED", 1, 2)


def test_says_what_stays_and_fails(root: Path) -> None:
    path = keep("http://127.0.0.1:9")
    done = CliRunner().invoke(command)
    assert isinstance(done.exception, RunError)
    assert "http://127.0.0.1:9 is out of reach (nothing answers there)" in done.output
    assert path.exists()


def test_another_store_takes_them(root: Path) -> None:
    keep("http://127.0.0.1:9")
    done = CliRunner().invoke(command, ["--uri", "sqlite:///other.db"])
    assert done.exit_code == 0
    assert [run.info.run_name for run in MlflowClient(f"sqlite:///{root}/other.db").search_runs(["1"])] == ["one"]


def test_what_another_machine_may_still_write_is_sent_when_forced(root: Path) -> None:
    path = keep("sqlite:///mlflow.db", "node7 pid:[1] 4711 88001", is_ended=False)
    done = CliRunner().invoke(command)
    assert isinstance(done.exception, RunError)
    assert "process 4711 on node7" in done.output
    assert "send it with `kedro tracking-sync --force`" in done.output
    assert path.exists()
    done = CliRunner().invoke(command, ["--force"])
    assert (done.exit_code, done.stdout) == (0, "Sent 1 run to MLflow.\n")
    assert not path.exists()
