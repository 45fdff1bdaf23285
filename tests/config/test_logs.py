from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from fovea.config import logs
from fovea.core.errors import UserError

Write = Callable[[str, str], Path]
pytestmark = pytest.mark.usefixtures("own_logging")


def _speak() -> None:
    logging.getLogger("fovea.some.module").info("trained %d epochs", 3)
    logging.getLogger("fovea.some.module").debug("a detail")
    logging.getLogger("kedro.session").info("Kedro project fovea")
    logging.getLogger("kedro.pipeline.node").error("Node train failed with error")
    logging.getLogger("kedro.runner.sequential_runner").warning("There are 1 nodes that have not run")
    logging.getLogger("foveal").info("of another package")
    logging.getLogger("third.party").warning("worth a look")
    warnings.warn_explicit("old way", DeprecationWarning, "lib.py", 8)


def test_the_terminal_hears_us_and_the_warnings_of_others(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        _speak()
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "trained 3 epochs",
        "WARNING: worth a look",
        "WARNING: DeprecationWarning: old way",
    ]
    assert said.out == ""
    kept = (workspace / "logs" / "fovea.log").read_text()
    for words in ("trained 3 epochs", "a detail", "Kedro project", "Node train failed", "worth a look", "old way"):
        assert words in kept


def test_verbose_says_everything(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(verbose=True)
    _speak()
    said = capsys.readouterr().err.splitlines()
    assert "DEBUG: a detail" in said
    assert "Kedro project fovea" in said
    assert "ERROR: Node train failed with error" in said


def test_the_file_lies_at_the_root_from_wherever_the_command_is_given(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(workspace / "deep" / "down")
    logs.configure()
    assert logs.log_file() == workspace / "logs" / "fovea.log"


def test_a_queued_experiment_logs_beside_the_project_it_came_from(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main").mkdir()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    logs.configure()
    assert logs.log_file() == tmp_path / "main" / "logs" / "fovea.log"
    assert not (workspace / "logs").exists()


def test_no_file_where_none_can_be_made(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "logs").write_text("a file, not a folder")
    logs.configure()
    assert logs.log_file() is None
    _speak()
    assert "trained 3 epochs" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_is_said_once(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    (workspace / "logs").rmdir()
    logging.getLogger("fovea").info("one")
    logging.getLogger("fovea").info("two")
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "cannot be written" in line] == [
        f"WARNING: {workspace / 'logs' / 'fovea.log'} cannot be written "
        f"([Errno 2] No such file or directory: '{workspace / 'logs' / 'fovea.log'}'); the run goes on without"
    ]
    assert {"one", "two"} < set(said)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("version: [\n", r"^conf/base/logging\.yml cannot be read \(.*\); bring it back"),
        ("- 1\n", r"^conf/base/logging\.yml cannot be read \(.*\); bring it back"),
        ("version: 1\n", r"^conf/base/logging\.yml names no root or no handlers; bring it back"),
        (
            "version: 1\nhandlers: {file: {class: no.such.Handler, filename: x}}\nroot: {handlers: [file]}\n",
            r"^conf/base/logging\.yml cannot be applied: ",
        ),
    ],
)
def test_broken_settings(workspace: Path, write: Write, text: str, sentence: str) -> None:
    write("base/logging.yml", text)
    with pytest.raises(UserError, match=sentence):
        logs.configure()


def test_a_terminal_gets_rich_lines(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(logs.terminal()).__name__ == "_Lines"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    handler = logs.terminal()
    assert type(handler).__name__ == "RichHandler"
    assert handler.console.stderr  # type: ignore[attr-defined]
