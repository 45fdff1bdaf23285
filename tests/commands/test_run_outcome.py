"""How `kedro run` ends: the exit code, one sentence, and the story in the log file."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from kedro.io import DatasetError

from fovea.commands.outcome import Outcome, outcome
from fovea.core.errors import Interrupted, RunError, UserError
from fovea.core.stopping import stoppable

Kedro = Callable[..., Result]


def _raising(error: BaseException) -> Callable[[], None]:
    def train() -> None:
        raise error

    return train


def _wrapped(inner: Exception) -> Callable[[], None]:
    def train() -> None:
        try:
            raise inner
        except Exception as error:
            raise DatasetError("Failed while loading data from dataset\nTableDataset(...)") from error

    return train


@pytest.mark.parametrize(
    ("train", "code", "said"),
    [
        (_raising(UserError("label 12 is out of range")), 2, "Error: label 12 is out of range\n"),
        (_wrapped(UserError("model.json is not one")), 2, "Error: model.json is not one\n"),
        (_raising(RunError("the disk is full")), 1, "Error: the disk is full (log: logs/fovea.log)\n"),
        (_wrapped(RunError("the disk is full")), 1, "Error: the disk is full (log: logs/fovea.log)\n"),
        (_raising(KeyError("x")), 1, "Error: KeyError: 'x' (log: logs/fovea.log)\n"),
        (_raising(RuntimeError("one\n  two.")), 1, "Error: RuntimeError: one two (log: logs/fovea.log)\n"),
        (_raising(RuntimeError()), 1, "Error: RuntimeError: no message (log: logs/fovea.log)\n"),
        (_wrapped(ValueError("bad magic")), 1, "Error: ValueError: bad magic (log: logs/fovea.log)\n"),
        (
            _raising(SystemExit(None)),
            1,
            "Error: a step ended the process with exit code None (log: logs/fovea.log)\n",
        ),
    ],
)
def test_a_failure(
    kedro: Kedro, stage: Any, own_project: Path, train: Callable[[], None], code: int, said: str
) -> None:
    stage.train = train
    result = kedro("run", "trainer.max_epochs=3")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", said)
    assert "Traceback (most recent call last)" in (own_project / "logs" / "fovea.log").read_text()


def test_verbose_shows_the_traceback_once(kedro: Kedro, stage: Any) -> None:
    stage.train = _raising(KeyError("x"))
    said = kedro("run", "--verbose").stderr
    assert said.count("Traceback (most recent call last)") == 1
    assert said.endswith("Error: KeyError: 'x' (log: logs/fovea.log)\n")


def test_without_a_log_file_the_traceback_is_shown(kedro: Kedro, stage: Any, own_project: Path) -> None:
    (own_project / "logs").write_text("in the way")
    stage.train = _raising(KeyError("x"))
    said = kedro("run").stderr
    assert "Traceback (most recent call last)" in said
    assert said.endswith("Error: KeyError: 'x'\n")


@pytest.mark.parametrize("train", [_raising(RunError("the disk is full")), _wrapped(RunError("the disk is full"))])
def test_without_a_log_file_an_expected_error_is_one_sentence(
    kedro: Kedro, stage: Any, own_project: Path, train: Callable[[], None]
) -> None:
    (own_project / "logs").write_text("in the way")
    stage.train = train
    result = kedro("run")
    assert (result.exit_code, result.stderr) == (1, "Error: the disk is full\n")


def test_commands_that_log_nothing_tell_expected_errors_in_one_sentence(
    kedro: Kedro, own_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_ROOT", str(own_project))
    monkeypatch.setattr("fovea.commands.outcome.log_file", lambda: None)  # an earlier test may have opened one
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    result = kedro("ui")
    said = "Error: MLflow at http://127.0.0.1:9 is out of reach: nothing answers there\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)
    (own_project / "dvc.yaml").write_text("stages: {}\n")
    result = kedro("dvc-yaml", "--check")
    said = "Error: dvc.yaml does not match the pipelines and the catalog; run: kedro dvc-yaml\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal(kedro: Kedro, stage: Any, signum: signal.Signals, code: int) -> None:
    def train() -> None:
        os.kill(os.getpid(), signum)
        time.sleep(10)

    stage.train = train
    before = signal.getsignal(signum)
    result = kedro("run", "model=deep_mnist", "data.mean=[0.5]")
    assert result.exit_code == code
    assert result.stderr == (
        f"Stopped: interrupted by {signum.name}; "
        "what is finished is kept; go on with: kedro run model=deep_mnist 'data.mean=[0.5]'\n"
    )
    assert signal.getsignal(signum) is before


@pytest.mark.parametrize("taken_for", [SystemExit(None), RuntimeError("workers closed"), KeyboardInterrupt()])
def test_a_signal_that_a_library_takes_for_something_else(kedro: Kedro, stage: Any, taken_for: BaseException) -> None:
    def train() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except Interrupted:
            raise taken_for from None

    stage.train = train
    result = kedro("run")
    assert result.exit_code == 143
    assert result.stderr.startswith("Stopped: interrupted by SIGTERM; what is finished is kept; go on")


def test_a_handler_may_stand_on_ours() -> None:
    """As Lightning's do: it calls the handler that it found, then its own."""
    called = []
    with pytest.raises(Interrupted, match="SIGTERM"), stoppable():  # noqa: PT012
        found = signal.getsignal(signal.SIGTERM)
        assert callable(found)

        def compose(signum: int, frame: Any) -> None:
            found(signum, frame)
            called.append("own")

        signal.signal(signal.SIGTERM, compose)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert called == []


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("changes", "command"),
    [({"DVC_STAGE": "train"}, "dvc repro"), ({"DVC_STAGE": "train", "DVC_EXP_NAME": "x"}, "dvc exp run")],
)
def test_inside_dvc_it_is_dvc_that_goes_on(
    kedro: Kedro,
    stage: Any,
    own_project: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    command: str,
) -> None:
    from fovea.config import params_stage

    params_stage.write(own_project)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    stage.train = _raising(Interrupted(signal.SIGTERM))
    result = kedro("run")
    assert result.exit_code == 143
    assert result.stderr == (f"Stopped: interrupted by SIGTERM; what is finished is kept; go on with: {command}\n")


def test_an_interruption_outweighs_what_it_led_to() -> None:
    error = RunError("the workers are gone")
    error.__cause__ = Interrupted(signal.SIGTERM)
    assert outcome(error) == Outcome(143, "interrupted by SIGTERM")
    assert outcome(KeyboardInterrupt()) == Outcome(130, "interrupted by SIGINT")


def test_a_long_message_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fovea.commands.outcome.log_file", lambda: None)  # an earlier test may have opened one
    assert outcome(ValueError("x" * 1000)) == Outcome(1, f"ValueError: {'x' * 397}...", expected=False)
