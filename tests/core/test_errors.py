from __future__ import annotations

import signal

import pytest

from fovea.core.errors import FoveaError, Interrupted, RunError, UserError, interruption, nearest


def test_exit_codes() -> None:
    assert (FoveaError.exit_code, UserError.exit_code, RunError.exit_code) == (1, 2, 1)
    assert Interrupted(signal.SIGINT).exit_code == 130
    assert Interrupted(signal.SIGTERM).exit_code == 143


def test_an_interruption_is_no_failure() -> None:
    assert not issubclass(Interrupted, Exception)
    assert str(Interrupted(signal.SIGTERM)) == "interrupted by SIGTERM"


def test_an_interruption_is_found_behind_what_a_library_made_of_it() -> None:
    stop = Interrupted(signal.SIGTERM)
    closed, refused = ValueError("the connection is closed"), RuntimeError("the query failed")
    closed.__context__, refused.__cause__ = stop, closed
    assert interruption(refused) is stop
    assert interruption(stop) is stop
    stop.__context__ = refused
    assert interruption(ValueError("wrong")) is None
    assert interruption(None) is None


@pytest.mark.parametrize(
    ("value", "known", "words"),
    [
        ("lenet", ["lenet5", "deep_mnist"], "; did you mean 'lenet5'?"),
        ("xyz", ["b", "a", "a"], "; known: a, b"),
        ("xyz", [], ""),
    ],
)
def test_nearest(value: str, known: list[str], words: str) -> None:
    assert nearest(value, known) == words
