"""The launcher, with small programs in the place of the worker."""

from __future__ import annotations

import logging
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fovea.config.schema import LaunchConfig
from fovea.core.errors import Interrupted, RunError, UserError
from fovea.training import launcher
from fovea.training.agent import run_agent
from fovea.training.failures import Failure
from fovea.training.launcher import Group

HEAD = """
import json, os, pathlib, signal, sys, time
rank, attempt = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
def report(text):
    extra = {"timestamp": "1", "py_callstack": ""}
    message = {"message": {"message": text, "extraInfo": extra}}
    pathlib.Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(message))
"""


def run(program: str, folder: Path, processes: int = 2, **changes: Any) -> list[Failure]:
    config = {"max_restarts": 1, "timeout_seconds": 600.0, "nodes": 1, "min_nodes": None} | changes
    return run_agent(["-c", HEAD + program], Group(processes), LaunchConfig.model_validate(config), folder)


def test_processes_know_their_places(tmp_path: Path) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT)]
    program = f"(pathlib.Path({str(tmp_path)!r}) / f'{{rank}}').write_text(os.environ['WORLD_SIZE'])"
    assert run(program, tmp_path / "words", processes=3) == []
    assert [(tmp_path / str(rank)).read_text() for rank in range(3)] == ["3"] * 3
    assert [signal.getsignal(one) for one in (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT)] == before


def test_all_start_anew_when_one_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = f"""
(pathlib.Path({str(tmp_path)!r}) / f"{{rank}}-{{attempt}}").touch()
if attempt == 0:
    os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else time.sleep(60)
"""
    assert run(program, tmp_path / "words") == []
    assert sorted(path.name for path in tmp_path.glob("?-?")) == ["0-0", "0-1", "1-0", "1-1"]
    (line,) = (record.message for record in caplog.records if record.name == "fovea")
    assert line.startswith("train: rank 1 was killed by SIGKILL")
    assert line.endswith("all processes start anew from the last checkpoint (restart 1 of 1)")


def test_the_last_restart_is_the_last(tmp_path: Path) -> None:
    (failure,) = run("sys.exit(70) if rank == 0 else time.sleep(60)", tmp_path)
    assert (failure.rank, failure.code) == (0, 70)


@pytest.mark.parametrize("code", [1, 2, 143])
def test_what_would_fail_again_is_not_tried_again(code: int, tmp_path: Path) -> None:
    program = f"""
(pathlib.Path({str(tmp_path)!r}) / f"attempt{{attempt}}").touch()
if rank == 1:
    report("told by rank 1")
    sys.exit({code})
time.sleep(60)
"""
    (failure,) = run(program, tmp_path / "words", max_restarts=3)
    assert (failure.rank, failure.code, failure.report) == (1, code, "told by rank 1")
    assert [path.name for path in tmp_path.glob("attempt*")] == ["attempt0"]


def test_one_that_hangs_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = """
from fovea.training.heartbeat import own_heart
heart = own_heart()
for batch in range(1, 4):
    heart.beat(1, batch, 1)
    if rank == 1 and batch == 3 and attempt == 0:
        heart.beat(1, batch, 0)
        time.sleep(60)
    heart.beat(1, batch, 0)
if attempt == 0:
    heart.beat(1, 4, 1)
    time.sleep(60)
heart.beat(0, 0, 0)
"""
    assert run(program, tmp_path, timeout_seconds=1.0) == []
    assert re.search(r"rank 1 hung in epoch 1, batch 3: no step for 1 s \(trainer\.launch\.timeout", caplog.text)


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (Failure(1, 2, "no such model", ""), UserError, "no such model"),
        (Failure(1, 1, "training diverged", ""), RunError, "training diverged"),
        (Failure(1, 143, "interrupted", ""), Interrupted, "interrupted by SIGTERM"),
        (Failure(1, -9, "", "in epoch 1, batch 2"), RunError, r"rank 1 was killed by SIGKILL .*3 restart\(s\) did not"),
    ],
)
def test_a_failure_is_told_as_what_it_is(
    failure: Failure, kind: type[BaseException], words: str, make_job: Callable[..., Any]
) -> None:
    with pytest.raises(kind, match=words):
        launcher._tell([failure], make_job().trainer)


@pytest.mark.parametrize("nodes", ["0", "x", "3:2", "1:2:3"])
def test_a_wrong_number_of_machines_is_refused(nodes: str) -> None:
    with pytest.raises(UserError, match="is neither a number of machines nor LEAST:MOST"):
        launcher._nodes(nodes)


def test_machines_are_counted() -> None:
    assert launcher._nodes("2") == (2, 2)
    assert launcher._nodes("1:4") == (1, 4)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert launcher.main([str(tmp_path / "resolved.yaml")]) == 2
    assert "cannot read" in caplog.text


def test_a_file_that_is_no_text_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x89\xff")
    assert launcher.main([str(tmp_path / "model.safetensors")]) == 2
    assert "model.safetensors' is not a resolved job" in caplog.text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--processes", "-1"], "--processes -1 trains nothing; take 1 or more, or leave it out"),
        (["--processes", "0"], "--processes 0 trains nothing; take 1 or more, or leave it out"),
        (["--nodes", "2"], "--nodes 2:2 needs a place where the machines meet; add --rendezvous HOST:PORT"),
        (["--rendezvous", "node1:abc"], "--rendezvous node1:abc is not HOST:PORT; take for instance node1:29400"),
        (["--rendezvous", ":29400"], "--rendezvous :29400 is not HOST:PORT; take for instance node1:29400"),
    ],
)
def test_words_that_cannot_work_are_refused_before_anything_starts(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    make_job: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launcher, "launch", lambda *_, **__: pytest.fail("was started"))
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(yaml.safe_dump({"job": make_job().plain(), "prepared": "made-up"}))
    assert launcher.main([str(resolved), *words]) == 2
    assert sentence in caplog.text


def test_a_port_in_use_is_told(tmp_path: Path, make_job: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(yaml.safe_dump({"job": make_job().plain(), "prepared": "nowhere"}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["--processes", "1", "--nodes", "1:2", "--rendezvous", place, "--address", "127.0.0.1"]
        with caplog.at_level(logging.ERROR):
            assert launcher.main([str(resolved), *words]) == 1
    assert f"the machines did not come together at {place}" in caplog.text
    assert "PORT is free" in caplog.text
