"""Signals as an exception."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref
from typing import Any

import pytest

from fovea.core.errors import Interrupted
from fovea.core.stopping import stoppable


class _Garbage:
    """Something with a callback that runs when it is collected."""


def _wait() -> None:
    for _ in range(1000):
        time.sleep(0.01)


def test_a_signal_in_a_callback_of_the_collector_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    garbage = _Garbage()
    kept = weakref.ref(garbage, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    hook = sys.unraisablehook
    with pytest.raises(Interrupted, match="SIGTERM"), stoppable():  # noqa: PT012
        del garbage
        _wait()
    assert kept() is None
    assert capsys.readouterr().err == ""
    assert sys.unraisablehook is hook


def test_a_signal_that_a_library_drops_comes_again() -> None:
    dropped = 0

    def careless() -> None:
        nonlocal dropped
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            _wait()
        except:  # noqa: E722
            dropped += 1

    with pytest.raises(Interrupted), stoppable():  # noqa: PT012
        careless()
        _wait()
    assert dropped == 1


def test_nothing_comes_again_after_the_block() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: came.append(signum))
    try:
        with stoppable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                _wait()
            except Interrupted:
                pass
        time.sleep(0.3)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == []


def test_other_errors_of_callbacks_are_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
    garbage = _Garbage()
    kept = weakref.ref(garbage, lambda _: 1 / 0)
    with stoppable():
        del garbage
    assert kept() is None
    assert told == [ZeroDivisionError]
