from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from fovea import tracking
from fovea.core.errors import RunError
from fovea.tracking import outlet, replay, session, store, uri
from fovea.tracking import run as run_module
from fovea.tracking.journal import Journal, pending, read
from fovea.tracking.reach import OutOfReachError
from fovea.tracking.target import Target

Runs = Callable[[], list[Run]]
Journals = Callable[[], list[Path]]
Configure = Callable[..., None]


@pytest.fixture
def nowhere() -> str:
    """The URI of a port that nothing listens on."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def work(record: Path, report: Path | None = None) -> tracking.Run:
    with tracking.stage("train", record, "one", params={"seed": 0}) as run:
        for epoch in (1, 2, 3):
            run.log_metrics({"train/loss": 1 / epoch}, step=epoch)
        run.log_metrics({"val/acc": 0.9})
        run.set_tags({"precision": "32"})
        run.log_dataset("digits", "a" * 64, "training", {"train": 3600})
        if report is not None:
            run.log_artifact(report, "report")
            run.log_artifacts(report.parent, "all")
    return run


def check(client: MlflowClient, run: Run) -> None:
    """The run holds all that `work` logged, once."""
    assert run.info.status == "FINISHED"
    assert [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "train/loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1 / 3),
    ]
    assert len(client.get_metric_history(run.info.run_id, "val/acc")) == 1
    assert run.data.params["seed"] == "0"
    assert (run.data.tags["precision"], run.data.tags["stage.train"]) == ("32", "done")
    assert run.inputs is not None
    assert [given.dataset.name for given in run.inputs.dataset_inputs] == ["digits"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_unreachable_server_costs_seconds_and_one_sentence(
    configure: Configure, record: Path, journals: Journals, nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    configure(uri=nowhere)
    run = work(record)
    (journal,) = journals()
    (sentence,) = warnings(caplog)
    assert sentence == (
        f"MLflow at {nowhere} is out of reach (nothing answers there); the run goes on and its records are kept in "
        f"data/08_reporting/_untracked/{journal.name}, to be sent with `kedro tracking-sync`"
    )
    assert (run.run_id, run.journal) == (None, journal)
    kept = json.loads(record.read_text())
    assert (kept["run_id"], kept["uri"]) == (None, nowhere)
    ops = [one["op"] for one in read(journal)]
    assert (ops[0], ops[-1]) == ("open", "end")


def test_the_server_is_not_asked_for_each_record(
    configure: Configure, record: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []
    opened = store.open_store

    def count(*arguments: str) -> Any:
        tries.append(arguments)
        return opened(*arguments)

    monkeypatch.setattr(outlet, "open_store", count)
    configure(uri=nowhere)
    with tracking.stage("train", record, "one") as run:
        for step in range(50):
            run.log_metrics({"lr": 0.1}, step)
            run.flush()
        assert len(tries) == 1
    assert len(tries) == 2  # once more at the end


def test_an_unreachable_server_stops_the_run_if_asked(
    configure: Configure, record: Path, journals: Journals, nowhere: str
) -> None:
    configure(uri=nowhere, on_error="stop")
    with pytest.raises(RunError, match=r"is out of reach \(nothing answers there\).*tracking.on_error=continue"):
        work(record)
    assert journals() == []
    assert not record.exists()


def test_sync_makes_the_run_with_its_own_times(
    configure: Configure,
    record: Path,
    journals: Journals,
    runs: Runs,
    client: MlflowClient,
    nowhere: str,
    tmp_path: Path,
) -> None:
    report = tmp_path / "report" / "report.html"
    report.parent.mkdir()
    report.write_text("<p>")
    configure(uri=nowhere)
    before = int(time.time() * 1000)
    work(record, report)
    after = int(time.time() * 1000)
    shutil.rmtree(report.parent)
    time.sleep(0.05)
    assert replay.sync(uri.resolve(None)) == (1, [])
    (one,) = runs()
    check(client, one)
    assert before <= one.info.start_time <= one.info.end_time <= after
    point = client.get_metric_history(one.info.run_id, "train/loss")[0]
    assert before <= point.timestamp <= after
    where = Path(client.download_artifacts(one.info.run_id, ""))
    assert (where / "report/report.html").read_text() == "<p>"
    assert (where / "all/report.html").read_text() == "<p>"
    assert journals() == []
    assert list((record.parents[4] / "data/08_reporting/_untracked").iterdir()) == []


def test_the_next_stage_finds_the_run_that_was_sent_later(
    configure: Configure, record: Path, runs: Runs, nowhere: str
) -> None:
    configure(uri=nowhere)
    work(record)
    replay.sync(uri.resolve(None))
    configure()
    with tracking.stage("evaluate", record):
        pass
    (one,) = runs()
    assert (one.data.tags["stage.train"], one.data.tags["stage.evaluate"]) == ("done", "done")


def test_the_next_stage_sends_what_was_kept_before(
    configure: Configure, record: Path, runs: Runs, journals: Journals, client: MlflowClient, nowhere: str
) -> None:
    configure(uri=nowhere)
    work(record)
    configure()
    with tracking.stage("evaluate", record) as run:
        run.log_metrics({"test/acc": 0.98})
    (one,) = runs()
    check(client, one)
    assert one.data.metrics["test/acc"] == 0.98
    assert journals() == []


def test_sync_can_be_repeated_after_half_of_it(
    configure: Configure,
    record: Path,
    runs: Runs,
    journals: Journals,
    client: MlflowClient,
    nowhere: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(uri=nowhere)
    work(record)
    apply, sent = Target.apply, []

    def fail_at_fifth(self: Target, one: dict[str, Any]) -> None:
        sent.append(one["op"])
        if len(sent) == 5:
            raise OutOfReachError("gone again")
        apply(self, one)

    monkeypatch.setattr(Target, "apply", fail_at_fifth)
    count, troubles = replay.sync(uri.resolve(None))
    assert count == 0
    assert "gone again" in troubles[0]
    assert len(journals()) == 1
    monkeypatch.undo()
    monkeypatch.setenv("FOVEA_ROOT", str(record.parents[4]))
    assert replay.sync(uri.resolve(None)) == (1, [])
    (one,) = runs()
    check(client, one)


def test_sync_says_what_it_cannot_reach(configure: Configure, record: Path, journals: Journals, nowhere: str) -> None:
    configure(uri=nowhere)
    work(record)
    count, (trouble,) = replay.sync(None)
    assert count == 0
    assert f"MLflow at {nowhere} is out of reach (nothing answers there)" in trouble
    assert len(journals()) == 1


def test_sync_marks_the_run_of_a_process_that_died(root: Path, runs: Runs) -> None:
    head = {
        "op": "open",
        "key": "ab12",
        "name": "one",
        "time": 1000,
        "tags": {},
        "experiment": "fovea",
        "uri": "sqlite:///mlflow.db",
    }
    journal = Journal("one", head)
    journal.append({"op": "metrics", "points": [["lr", 0.1, 1, 1500]]})
    journal.path.write_text(journal.path.read_text() + '{"op": "tags", "ta')
    assert replay.sync(None) == (1, [])
    (one,) = runs()
    assert (one.info.status, one.info.start_time, one.data.metrics) == ("KILLED", 1000, {"lr": 0.1})


def test_sync_leaves_the_journal_of_a_living_process_alone(
    configure: Configure, record: Path, journals: Journals, nowhere: str
) -> None:
    configure(uri=nowhere)
    with tracking.stage("train", record, "one"):
        code = "from fovea.tracking.replay import sync; print(sync('sqlite:///mlflow.db'))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert f"is still being written by process {os.getpid()}" in done.stdout
    assert len(journals()) == 1


def test_sync_takes_away_the_error_of_a_stage_that_went_well_since(
    configure: Configure, record: Path, runs: Runs, nowhere: str
) -> None:
    configure()
    with contextlib.suppress(ValueError), tracking.stage("train", record, "one"):
        raise ValueError
    assert runs()[0].data.tags["error"] == "ValueError: "
    configure(uri=nowhere)
    with tracking.stage("evaluate", record):
        pass
    assert replay.sync(uri.resolve(None)) == (1, [])
    (one,) = runs()
    assert one.info.status == "FINISHED"
    assert "error" not in one.data.tags


def test_sync_does_not_end_a_run_that_went_on_since(
    configure: Configure, record: Path, runs: Runs, nowhere: str
) -> None:
    configure(uri=nowhere)
    work(record)
    (journal,) = pending()
    kept = journal.read_text()
    configure()
    with tracking.stage("evaluate", record):
        pass
    ended = runs()[0].info.end_time
    journal.write_text(kept)
    assert replay.sync(uri.resolve(None)) == (1, [])
    (one,) = runs()
    assert (one.info.end_time, one.info.status) == (ended, "FINISHED")


def test_a_locked_database_at_the_start_is_sent_at_the_end(
    configure: Configure,
    record: Path,
    runs: Runs,
    journals: Journals,
    client: MlflowClient,
    locked: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure()
    with tracking.stage("train", record, "one", params={"seed": 0}) as run:
        assert run.run_id is None
        assert len(journals()) == 1
        locked.close()
        for epoch in (1, 2, 3):
            run.log_metrics({"train/loss": 1 / epoch}, step=epoch)
        run.log_metrics({"val/acc": 0.9})
        run.set_tags({"precision": "32"})
        run.log_dataset("digits", "a" * 64, "training")
    (one,) = runs()
    check(client, one)
    assert journals() == []
    (sentence,) = warnings(caplog)
    assert "(another program keeps the database locked)" in sentence


def test_a_database_locked_in_the_middle_loses_nothing(
    configure: Configure,
    record: Path,
    root: Path,
    runs: Runs,
    journals: Journals,
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outlet.Outlet.__init__, "__defaults__", (0.0,))
    monkeypatch.setattr(outlet, "_PART", 0.0)
    configure()
    with tracking.stage("train", record, "one", params={"seed": 0}) as run:
        run_id = run.run_id
        run.log_metrics({"train/loss": 1.0}, step=1)
        run.flush()
        with closing(sqlite3.connect(root / uri.DATABASE, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            run.log_metrics({"train/loss": 0.5}, step=2)
            run.log_metrics({"val/acc": 0.9})
            run.flush()
            run.set_tags({"precision": "32"})
            assert len(journals()) == 1
        run.log_metrics({"train/loss": 1 / 3}, step=3)
        run.flush()  # MLflow is back: what was kept is sent, in order
        assert journals() == []
        run.log_dataset("digits", "a" * 64, "training")
    (one,) = runs()
    assert one.info.run_id == run_id
    check(client, one)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everything, so it becomes someone else for the block."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_database_that_may_not_be_written(
    configure: Configure,
    record: Path,
    empty_database: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure()
    work(record)  # imports everything, which another user may not be able to
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("conf", "data", "work"):
            (root / name).mkdir()
            (root / name).chmod(0o777)
        (root / "pyproject.toml").touch()
        shutil.copy(empty_database, root / uri.DATABASE)
        (root / uri.DATABASE).chmod(0o444)
        root.chmod(0o755)
        monkeypatch.setenv("FOVEA_ROOT", folder)
        configure()
        with ordinary_user():
            run = work(root / "work/run.json")
        (sentence,) = warnings(caplog)
        assert "(the database may not be written by this user)" in sentence
        assert run.journal is not None
        kept = read(run.journal)
    assert (kept[0]["op"], kept[-1]["op"]) == ("open", "end")
    points = [point[:3] for one in kept if one["op"] == "metrics" for point in one["points"]]
    assert points == [["train/loss", 1.0, 1], ["train/loss", 0.5, 2], ["train/loss", 1 / 3, 3], ["val/acc", 0.9, None]]


def test_neither_mlflow_nor_disk_is_said_once_and_the_run_goes_on(
    configure: Configure, record: Path, root: Path, nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "data").mkdir()
    (root / "data/08_reporting").touch()
    configure(uri=nowhere)
    work(record)
    (sentence,) = warnings(caplog)
    assert sentence.startswith("what this run logs from here on is lost: writing ")


def test_a_failure_of_the_sending_thread_stops_the_run_if_asked(
    configure: Configure, record: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_WINDOW", 1.0)
    configure(on_error="stop")

    def train() -> None:
        with tracking.stage("train", record, "one") as run, closing(sqlite3.connect(root / uri.DATABASE)) as other:
            other.isolation_level = None
            other.execute("BEGIN EXCLUSIVE")
            run._last_sent = time.monotonic()
            run.log_metrics({"lr": 0.1}, step=1)
            timer = run._timer
            assert timer is not None
            timer.join(30)
            run.log_metrics({"lr": 0.1}, step=2)

    with pytest.raises(RunError, match="another program keeps the database locked"):
        train()


def test_a_store_that_refuses_the_run_is_said_once(
    configure: Configure, record: Path, journals: Journals, caplog: pytest.LogCaptureFixture
) -> None:
    configure(experiment="x" * 600)
    work(record)
    (sentence,) = warnings(caplog)
    assert "is out of reach (it refuses the run: " in sentence
    assert len(journals()) == 1


def test_passwords_are_not_kept(
    configure: Configure, record: Path, journals: Journals, nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = nowhere.replace("//", "//me:secret@")
    typed = f"tracking.uri={address}"
    tracking.configure({"uri": address}, tracking.RunFacts(overrides=[typed], command=f"kedro run '{typed}'"))
    work(record)
    tags = read(journals()[0])[0]["tags"]
    assert (tags["overrides"], tags["command"]) == (f"tracking.uri={nowhere}", f"kedro run 'tracking.uri={nowhere}'")
    for text in (record.read_text(), journals()[0].read_text(), caplog.text, json.dumps(session.exported())):
        assert "secret" not in text
