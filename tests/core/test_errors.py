from __future__ import annotations

import signal

import pytest

from fovea.core.errors import FoveaError, Interrupted, RunError, UserError, nearest


def test_exit_codes() -> None:
    assert (FoveaError.exit_code, UserError.exit_code, RunError.exit_code) == (1, 2, 1)
    assert Interrupted(signal.SIGINT).exit_code == 130
    assert Interrupted(signal.SIGTERM).exit_code == 143


def test_an_interruption_is_no_failure() -> None:
    assert not issubclass(Interrupted, Exception)
    assert str(Interrupted(signal.SIGTERM)) == "interrupted by SIGTERM"


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
