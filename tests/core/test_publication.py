"""Results of two runs at once: never mixed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fovea.core.files import atomic_directory
from fovea.core.publication import Publication


class Data:
    """A folder of data with one file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def publish(self, target: Path) -> None:
        with atomic_directory(target) as folder:
            (folder / "text").write_text(self.text)


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    return tmp_path / "data" / "prepared"


def publish(run: Publication, data: Data, target: Path) -> None:
    data.publish(target)
    run.add(data, target)


def test_the_data_of_a_run_stand_by_its_results(target: Path) -> None:
    first, second = Publication(), Publication()
    publish(first, Data("first"), target)
    publish(second, Data("second"), target)
    first.begin()
    assert (target / "text").read_text() == "first"
    inode = target.stat().st_ino
    first.begin()
    first.end()
    second.begin()
    assert (target / "text").read_text() == "second"
    second.end()
    assert target.stat().st_ino != inode
    first.begin()  # another run of the same process, which has made no data
    assert (target / "text").read_text() == "second"
    first.end()


def test_folders_that_nobody_replaced_stay_untouched(target: Path) -> None:
    run = Publication()
    publish(run, Data("x"), target)
    before = target.stat()
    run.begin()
    assert target.stat() == before
    run.end()


def test_another_run_waits_from_the_first_result_to_the_end(target: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Publication(), Publication()
    order: list[str] = []
    first.begin()

    def other() -> None:
        second.begin()
        order.append("second")
        second.end()

    thread = threading.Thread(target=other)
    with caplog.at_level(logging.INFO, "fovea"):
        thread.start()
        wait_for(lambda: "writing of results below data/ is already under way in process" in caplog.text)
        order.append("first")
        first.end()
        thread.join(20)
    assert order == ["first", "second"]


def wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happened():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen")
