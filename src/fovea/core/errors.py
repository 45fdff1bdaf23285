"""What can go wrong, by who can mend it. Every message names the thing, its value and the way out."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable


class FoveaError(Exception):
    """An expected failure: shown to the user as one sentence, never as a traceback.

    Attributes:
        exit_code: The exit code of the process that ends with this error.
    """

    exit_code = 1


class UserError(FoveaError):
    """The user's input is wrong (a config value, a path, a file); nothing was started."""

    exit_code = 2


class RunError(FoveaError):
    """The input was right but the run could not go on (disk, data, training, a server)."""

    exit_code = 1


class Interrupted(BaseException):
    """The process was told to stop by a signal.

    Not an `Exception`, so that no library's `except Exception` takes it for a failure.

    Args:
        signum: The signal's number; the exit code is 128 plus it (130 for Ctrl-C, 143 for SIGTERM).
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum
        self.exit_code = 128 + signum


def interruption(error: BaseException | None) -> BaseException | None:
    """What told the process to stop, where a library made an error of its own of it; None for a true failure."""
    one = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        if isinstance(one, (Interrupted, KeyboardInterrupt)):
            return one
        seen.add(id(one))
        one = one.__cause__ or one.__context__
    return None


def nearest(value: str, known: Iterable[str]) -> str:
    """Words that point from a wrong name to the right one.

    Args:
        value: What the user wrote.
        known: The names that would have been right.

    Returns:
        ``"; did you mean 'x'?"`` when one name is close, else ``"; known: a, b, c"``.
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(value, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""
