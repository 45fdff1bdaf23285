from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fovea.core.errors import RunError
from fovea.core.locks import BusyError, exclusive, forget_dead, is_held, waiting


def take(path: Path) -> None:
    with exclusive(path, "training", "stop it first"):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from fovea.core.locks import exclusive
with exclusive(Path(sys.argv[1]), "holding", ""):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_holder_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.lock"
    told = rf"training is already under way in process {os.getpid()} on .*; stop it first"
    with exclusive(path, "training", "wait"), pytest.raises(BusyError, match=told):
        take(path)
    with exclusive(path, "training", "wait"):
        assert path.with_name("x.lock.holder").exists()
    assert not path.with_name("x.lock.holder").exists()


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(KeyError), exclusive(path, "training", "wait"):
        raise KeyError
    with exclusive(path, "training", "wait"):
        assert path.exists()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match=f"process {holder.pid}"), exclusive(path, "training", "wait"):
        pass
    holder.kill()
    holder.communicate()
    with exclusive(path, "training", "wait"):
        assert str(os.getpid()) in path.with_name("x.lock.holder").read_text()


def test_the_note_of_a_killed_process_is_removed_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    note = path.with_name("x.lock.holder")
    forget_dead(path)
    assert list(tmp_path.iterdir()) == []
    with exclusive(path, "training", "wait"):
        forget_dead(path)
        assert note.exists()
    note.write_text('{"pid": 1, "host": "gone"}')
    forget_dead(path)
    assert not note.exists()


def test_a_note_that_cannot_be_written_does_not_stop_the_work(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.with_name("x.lock.holder").mkdir()
    done = False
    with exclusive(path, "training", "wait"):
        done = True
    assert done
    with exclusive(path, "training", "wait"), pytest.raises(BusyError, match="in another process"):
        take(path)


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"locking .* failed: a part of the path is a file"):
        take(tmp_path / "file" / "x.lock")


def test_waiting_goes_on_when_the_other_has_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.lock"
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with exclusive(path, "fetching x", ""):
            inside.set()
            leave.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    threading.Timer(0.2, leave.set).start()
    with caplog.at_level(logging.INFO), waiting(path, "fetching x"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert f"fetching x is already under way in process {os.getpid()}" in caplog.text
    assert caplog.text.count("waiting for it to end") == 1


def test_whether_somebody_holds_a_lock_is_told_without_making_one(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    assert not is_held(path)
    assert not path.exists()
    with exclusive(path, "training", "wait"):
        assert is_held(path)
    assert not is_held(path)
