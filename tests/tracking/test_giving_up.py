"""Runs that nothing will go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fovea import tracking
from fovea.tracking.record import RunRecord


@pytest.mark.parametrize(
    ("status", "expected"), [("RUNNING", "KILLED"), ("FAILED", "FAILED"), ("FINISHED", "FINISHED")]
)
def test_a_run_that_is_given_up_is_ended_and_stays(
    status: str, expected: str, root: Path, configure: Any, client: Any
) -> None:
    configure()
    record = root / "run.json"
    with tracking.stage("train", record, "one") as run:
        pass
    client.update_run(run.run_id, status=status)
    tracking.give_up(record)
    found = client.get_run(run.run_id)
    assert found.info.status == expected
    assert found.data.tags.get("error") == ("its training was started over" if expected == "KILLED" else None)


def test_a_run_that_mlflow_does_not_know_is_no_obstacle(
    root: Path, configure: Any, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configure()
    record = root / "run.json"
    tracking.give_up(record)
    RunRecord("abc", "f" * 32, "lost", "fovea", "x").write(record)
    tracking.give_up(record)
    assert "the run lost, which is given up, could not be ended in MLflow" in caplog.text
