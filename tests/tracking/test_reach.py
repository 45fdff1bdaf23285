from __future__ import annotations

import signal
import sqlite3

import pytest

from fovea.core.errors import Interrupted
from fovea.tracking.reach import OutOfReachError, translated


def query(stop: BaseException | None = None) -> None:
    """What SQLAlchemy raises when a signal, or nothing, came in the middle of a query."""
    try:
        if stop is not None:
            raise stop
    finally:
        raise sqlite3.ProgrammingError("Cannot operate on a closed database.")


def test_a_signal_in_a_query_is_an_interruption() -> None:
    stop = Interrupted(signal.SIGTERM)
    with pytest.raises(Interrupted) as raised, translated():
        query(stop)
    assert raised.value is stop


def test_an_error_while_an_interruption_is_handled_is_one_of_the_store() -> None:
    try:
        raise Interrupted(signal.SIGTERM)
    except Interrupted:
        with pytest.raises(OutOfReachError, match="Cannot operate on a closed database"), translated():
            query()
        second = Interrupted(signal.SIGINT)
        with pytest.raises(Interrupted) as raised, translated():
            query(second)
    assert raised.value is second


def test_a_reason_holds_no_password_of_an_address() -> None:
    with pytest.raises(OutOfReachError) as raised, translated():
        raise ValueError("API request to https://me:se/cret@lab:5000/api failed: it is no JSON")
    assert str(raised.value) == "API request to https://lab:5000/api failed: it is no JSON"
