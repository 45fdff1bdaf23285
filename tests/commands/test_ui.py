from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from fovea import tracking
from fovea.commands.ui import command
from fovea.core.errors import RunError, UserError
from fovea.tracking import server, session


@pytest.fixture
def root(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's configuration, without anything else."""
    shutil.copytree(project / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


def test_a_taken_port_that_was_asked_for_is_refused(root: Path, taken: int) -> None:
    done = CliRunner().invoke(command, ["--port", str(taken)])
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith(f"--port={taken} is taken")
    assert not (root / "mlflow.db").exists()


def test_without_a_wish_the_next_free_port_serves(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FIRST_PORT", taken)
    assert taken < server.choose_port(None) < taken + 100


def test_no_free_port_at_all_is_said(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FIRST_PORT", taken)
    monkeypatch.setattr(server, "_PORTS", 1)
    with pytest.raises(RunError, match=f"no port from {taken} to {taken} is free"):
        server.choose_port(None)


def test_links_open_the_table_and_the_curves() -> None:
    view = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=fovea"
    assert server.links("http://127.0.0.1:5000", "1") == {"table": view, "curves": f"{view}&compareRunsMode=CHART"}


def test_a_server_out_of_reach_is_said(root: Path) -> None:
    (root / "conf/local/overrides.yaml").write_text("tracking:\n  uri: http://127.0.0.1:9\n")
    done = CliRunner().invoke(command)
    assert isinstance(done.exception, RunError)
    assert str(done.exception) == "MLflow at http://127.0.0.1:9 is out of reach: nothing answers there"


def test_the_address_of_the_store_is_no_word_of_the_command(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    class StartedError(Exception):
        """In place of a server."""

    def start(words: list[str], env: dict[str, str], **_: object) -> None:
        raise StartedError(words, env)

    monkeypatch.setattr(subprocess, "Popen", start)
    uri = "postgresql://me:secret@db/runs"
    with pytest.raises(StartedError) as started, server.serving(uri, 5000):
        pass
    words, env = started.value.args
    assert env["MLFLOW_BACKEND_STORE_URI"] == uri
    assert not [word for word in words if "secret" in word]


def _get(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


def _processes(mark: str) -> list[str]:
    """The command lines of living processes that hold `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in words:
            found.append(words)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_stopped_and_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
) -> None:
    port = server.choose_port(None)
    code = "from fovea.commands.ui import command; command()"
    started = subprocess.Popen(
        [sys.executable, "-u", "-c", code, "--port", str(port)],
        env={**os.environ, "FOVEA_ROOT": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    try:
        lines = [started.stdout.readline() for _ in range(3)]
        assert lines[0] == f"table   {server.links(f'http://127.0.0.1:{port}', '1')['table']}\n"
        assert _get(port) == 200
        assert _processes(f"{root}/mlartifacts")
        assert not _processes(f"{root}/mlflow.db")
        if signum == signal.SIGINT:
            _log_through_the_server(root, port, monkeypatch)
        started.send_signal(signum)
        rest = started.stdout.read()
        assert started.wait(60) == 0
    finally:
        started.terminate()
        started.wait(60)
        started.stdout.close()
    assert rest == "The MLflow UI has ended.\n"
    for _ in range(50):
        left = _processes(f"{root}/mlartifacts") + _processes(f"--port {port}")
        if not left:
            break
        time.sleep(0.1)
    assert left == []
    with pytest.raises(OSError, match="refused"):
        _get(port)


def _log_through_the_server(root: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_session", None)
    for stage in ("train", "evaluate"):
        tracking.configure({"experiment": "by server", "uri": f"http://127.0.0.1:{port}"})
        with tracking.stage(stage, root / "work/run.json", "one") as run:
            run.log_metrics({"train/loss": 0.5}, step=1)
            run.log_dataset("digits", "a" * 64, "training")
            run.log_text("hello", "note.txt")
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    found = client.get_experiment_by_name("by server")
    assert found is not None
    (one,) = client.search_runs([found.experiment_id])
    assert (one.info.status, one.data.tags["stage.evaluate"], one.data.metrics) == (
        "FINISHED",
        "done",
        {"train/loss": 0.5},
    )
    assert len(client.get_metric_history(one.info.run_id, "train/loss")) == 1
    assert [path.read_text() for path in (root / "mlartifacts").rglob("note.txt")] == ["hello"]
