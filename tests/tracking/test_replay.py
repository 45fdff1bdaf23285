"""Journals as kills, other processes and other machines leave them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from fovea import tracking
from fovea.tracking import replay, store, uri
from fovea.tracking.facts import process_identity
from fovea.tracking.journal import Journal, pending, read
from fovea.tracking.record import RunRecord

Runs = Callable[[], list[Run]]

ELSEWHERE = {"process": "node7 pid:[4026531836] 4711 88001", "host": "node7", "pid": "4711"}


def keep(**changes: Any) -> Journal:
    """A journal with a head and one metric."""
    head: dict[str, Any] = {"op": "open", "key": "ab12", "name": "one", "time": 1000, "tags": {}}
    journal = Journal("one", {**head, "experiment": "fovea", "uri": "sqlite:///mlflow.db", **changes})
    journal.append({"op": "metrics", "points": [["lr", 0.1, 1, 1500]]})
    return journal


@pytest.fixture
def cut(root: Path) -> Path:
    """A journal whose last line ends in the middle of a character."""
    journal = keep().path
    with journal.open("ab") as stream:
        stream.write('{"op": "tags", "tags": {"note": "Grün'.encode()[:-2])
    return journal


def test_a_last_line_cut_within_a_character_is_left_out(cut: Path, runs: Runs) -> None:
    assert [record["op"] for record in read(cut)] == ["open", "metrics"]
    assert replay.sync(None) == (1, [])
    (one,) = runs()
    assert (one.info.status, one.data.metrics) == ("KILLED", {"lr": 0.1})


def test_a_run_begins_beside_a_journal_that_was_cut(
    cut: Path, configure: Callable[..., None], record: Path, runs: Runs
) -> None:
    cut.write_bytes(cut.read_bytes().splitlines()[-1])
    configure()
    with tracking.stage("train", record, "two"):
        pass
    assert [(run.info.run_name, run.info.status) for run in runs()] == [("two", "FINISHED")]
    assert replay.sync(None) == (0, [f"{cut} is not a journal of a run and is left alone"])


def test_separators_within_a_text_cut_no_line(root: Path) -> None:
    journal = keep()
    written = {"op": "text", "text": "one\u2028two\u2029three\x85four\nfive\x0bsix\x1cseven", "name": "note.txt"}
    journal.append(written)
    assert read(journal.path)[2:] == [written]


def test_a_journal_that_another_process_just_sent_is_no_trouble(root: Path) -> None:
    gone = keep().path
    gone.with_name("gone.jsonl").symlink_to(gone.with_name("nothing"))  # in the listing, and not there when asked for
    assert pending() == [gone]
    gone.unlink()
    assert (read(gone), replay.head_of(gone)) == ([], {})
    opened = store.open_store(uri.resolve(None), "fovea")
    assert replay.send(gone, opened) == 0
    assert opened.client.search_runs([opened.experiment_id]) == []
    assert replay.sync(None) == (0, [])


def test_a_journal_that_cannot_be_read_is_told_and_stops_no_run(
    root: Path, configure: Callable[..., None], record: Path, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    folder = keep().path.with_name("folder.jsonl")
    folder.mkdir()
    words = f"{folder} cannot be read (Is a directory); make it readable, or move it away"
    configure()
    with tracking.stage("train", record, "two"):
        pass
    assert words in caplog.messages
    assert [run.info.run_name for run in runs()] == ["two"]
    assert replay.sync(None) == (1, [words])


def test_a_journal_that_mlflow_refuses_is_told_and_stays(root: Path) -> None:
    journal = keep(experiment="x" * 600).path
    count, (trouble,) = replay.sync(None)
    assert count == 0
    assert trouble.startswith(f"{journal} stays: MLflow refuses it (")
    assert journal.exists()


def test_a_journal_of_another_machine_without_an_end_is_left_alone_unless_forced(root: Path, runs: Runs) -> None:
    journal = keep(tags=ELSEWHERE).path
    assert replay.sync(None) == (
        0,
        [
            f"{journal} has no end, and whether process 4711 on node7 still writes it cannot be seen from here; "
            "if that has ended, send it with `kedro tracking-sync --force`"
        ],
    )
    assert journal.exists()
    assert replay.sync(None, force=True) == (1, [])
    (one,) = runs()
    assert (one.info.status, one.data.metrics) == ("KILLED", {"lr": 0.1})
    assert not journal.exists()


def test_a_journal_of_another_machine_with_its_end_is_sent(root: Path, runs: Runs) -> None:
    keep(tags=ELSEWHERE).append({"op": "end", "status": "FINISHED", "time": 2000})
    assert replay.sync(None) == (1, [])
    (one,) = runs()
    assert (one.info.status, one.info.end_time) == ("FINISHED", 2000)


def test_force_takes_no_journal_of_a_process_that_is_seen_to_live(root: Path) -> None:
    journal = keep(tags={"process": process_identity(os.getppid())}).path
    words = f"{journal} is still being written by process {os.getppid()}; send it when that has ended"
    assert replay.sync(None, force=True) == (0, [words])
    assert journal.exists()


@pytest.mark.parametrize("is_elsewhere", [True, False])
def test_the_next_stage_leaves_what_may_still_be_written(
    configure: Callable[..., None],
    record: Path,
    runs: Runs,
    caplog: pytest.LogCaptureFixture,
    *,
    is_elsewhere: bool,
) -> None:
    process = ELSEWHERE["process"] if is_elsewhere else process_identity(os.getppid())
    journal = keep(tags={"process": process}).path
    RunRecord("ab12", None, "one", "fovea", "sqlite:///mlflow.db").write(record)
    configure()
    with tracking.stage("evaluate", record) as run:
        run.log_metrics({"test/acc": 0.98})
    assert [text for text in caplog.messages if text.startswith(f"{journal} ")]
    assert [one["op"] for one in read(journal)] == ["open", "metrics"]
    (one,) = runs()
    assert (one.info.status, one.data.metrics) == ("FINISHED", {"test/acc": 0.98})
    if is_elsewhere:
        assert replay.sync(None, force=True) == (1, [])
        (one,) = runs()
        assert (one.info.status, one.data.metrics) == ("FINISHED", {"test/acc": 0.98, "lr": 0.1})


def test_a_journal_that_was_taken_from_its_writer_begins_with_its_run_again(
    configure: Callable[..., None], record: Path, runs: Runs, locked: sqlite3.Connection
) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        run.log_metrics({"lr": 0.1}, step=1)
        run.flush()
        (journal,) = pending()
        journal.unlink()
        run.log_metrics({"lr": 0.2}, step=2)
        run.flush()
        assert [one["op"] for one in read(journal)] == ["open", "metrics"]
        locked.close()
    (one,) = runs()
    assert (one.info.run_name, one.info.status, one.data.metrics) == ("one", "FINISHED", {"lr": 0.2})
    assert pending() == []
