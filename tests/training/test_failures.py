"""What a launcher makes of the ends of its processes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from fovea.core.errors import Interrupted, RunError, UserError
from fovea.training.failures import REPORT, Failure, cause, exit_code, write_report


@pytest.mark.parametrize(
    ("error", "code", "final"),
    [
        (UserError("x"), 2, True),
        (RunError("x"), 1, True),
        (Interrupted(signal.SIGTERM), 143, True),
        (Interrupted(signal.SIGINT), 130, True),
        (RuntimeError("Connection closed by peer"), 70, False),
        (MemoryError(), 70, False),
    ],
)
def test_only_what_a_restart_may_mend_is_tried_again(error: BaseException, code: int, final: bool) -> None:
    assert exit_code(error) == code
    assert Failure(0, code, "", "").is_final == final


@pytest.mark.parametrize(
    ("error", "said"), [(UserError("no such model"), "no such model"), (ValueError("five"), "ValueError: five")]
)
def test_a_report_reaches_the_launcher(
    error: Exception, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REPORT, str(tmp_path / "report.json"))
    write_report(error)
    content = json.loads((tmp_path / "report.json").read_text())
    assert Failure.of(1, 2, content, "in epoch 1, batch 2").report == said
    assert int(content["message"]["extraInfo"]["timestamp"]) > 1_700_000_000  # what torchrun asks for


def test_without_a_launcher_there_is_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REPORT, raising=False)
    monkeypatch.chdir(tmp_path)
    write_report(UserError("x"))
    assert list(tmp_path.iterdir()) == []


LOST = Failure(0, 70, "RuntimeError: Connection closed by peer [127.0.0.1]:99", "in epoch 1, batch 3")
KILLED = Failure(2, -signal.SIGKILL, "", "in epoch 1, batch 3")
BROKEN = Failure(1, 70, "ValueError: five", "in epoch 1, batch 3")
REFUSED = Failure(3, 2, "no such model", "")


@pytest.mark.parametrize(
    ("failures", "first"),
    [([LOST, KILLED], KILLED), ([LOST, BROKEN], BROKEN), ([LOST, KILLED, BROKEN, REFUSED], REFUSED), ([LOST], LOST)],
)
def test_the_first_cause_is_told(failures: list[Failure], first: Failure) -> None:
    assert cause(failures) is first


def test_sentences() -> None:
    assert (
        KILLED.sentence == "rank 2 was killed by SIGKILL (as the system does when memory is full) in epoch 1, batch 3"
    )
    assert BROKEN.sentence == "rank 1 ended in epoch 1, batch 3: ValueError: five"
    assert (
        Failure(1, 70, "", "before its first step").sentence == "rank 1 ended before its first step with exit code 70"
    )
    hung = Failure(1, -signal.SIGKILL, "", "hung in epoch 1, batch 2: no step for 5 s (trainer.launch.timeout_seconds)")
    assert hung.sentence == "rank 1 hung in epoch 1, batch 2: no step for 5 s (trainer.launch.timeout_seconds)"
