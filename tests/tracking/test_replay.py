"""Journals as kills, other processes and other machines leave them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from fovea import tracking
from fovea.tracking import replay, store, uri
from fovea.tracking.journal import Journal, pending, read

Runs = Callable[[], list[Run]]


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
