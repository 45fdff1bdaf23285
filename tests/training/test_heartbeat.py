"""Signs of life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fovea.training.heartbeat import PATH, Beat, Heart, is_stopped, last_beat, own_heart


def test_the_last_beat_is_seen_from_outside(tmp_path: Path) -> None:
    heart = Heart(tmp_path / "1")
    assert last_beat(tmp_path / "1") is None
    before = time.monotonic()
    heart.beat(2, 31, 1)
    beat = last_beat(tmp_path / "1")
    assert beat is not None
    assert before <= beat.when <= time.monotonic()
    assert beat.place == (2, 31, 1)
    assert beat.words == "in epoch 2, batch 31"
    assert last_beat(tmp_path / "2") is None


def test_before_training_no_place_is_named() -> None:
    assert Beat(1.0, 0, 0, 0).words == "before its first step"


def test_only_a_launcher_asks_for_a_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATH, raising=False)
    assert own_heart() is None
    monkeypatch.setenv(PATH, str(tmp_path))
    assert own_heart() is not None


def test_a_process_that_was_halted_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert not is_stopped(process.pid)
        os.kill(process.pid, signal.SIGSTOP)
        end = time.monotonic() + 5
        while not is_stopped(process.pid) and time.monotonic() < end:
            time.sleep(0.01)
        assert is_stopped(process.pid)
    finally:
        process.kill()
        process.wait()
    assert not is_stopped(process.pid)
