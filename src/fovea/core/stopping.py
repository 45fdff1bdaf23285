"""SIGTERM and Ctrl-C as an exception that nothing on the way loses."""

from __future__ import annotations

import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from fovea.core.errors import Interrupted

_PAUSE = 0.1


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM and Ctrl-C raise `Interrupted` in the block, and a block that one of them ended raises nothing else.

    A signal that the process was started to ignore stays ignored. Other handlers (Lightning's) may stand on these.

    Raises:
        Interrupted: One of the signals came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def stop(signum: int, _frame: FrameType | None) -> NoReturn:
        received.append(signum)
        raise insist(Interrupted(signum))  # not a variable of this frame, which would keep it alive

    watched = [signum for signum in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(signum) is not signal.SIG_IGN]
    before = {signum: signal.signal(signum, stop) for signum in watched}
    try:
        with _insistence() as insist:
            yield
    except Interrupted:
        raise
    except BaseException as error:
        if received:  # a library took the interruption for a failure, or turned it into an exit
            raise Interrupted(received[0]) from error
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def _insistence() -> Iterator[Callable[[Interrupted], Interrupted]]:
    """Gives a function that watches an interruption, and raises its signal anew if it is dropped before the block ends.

    What is raised while the garbage collector calls back (SQLAlchemy has it do so often) goes nowhere, and some modules
    catch everything while they are imported.
    """
    watched: list[weakref.ref[Interrupted]] = []
    hook = sys.unraisablehook
    under_way, lock = True, threading.Lock()

    def again(signum: int) -> None:
        with lock:
            if under_way:
                signal.raise_signal(signum)

    def dropped(signum: int, _: weakref.ref[Interrupted]) -> None:
        # Not from here, where the next one would go nowhere too.
        timer = threading.Timer(_PAUSE, again, [signum])
        timer.daemon = True
        timer.start()

    def insist(error: Interrupted) -> Interrupted:
        watched.append(weakref.ref(error, partial(dropped, error.signum)))
        return error

    def quiet(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            hook(unraisable)

    sys.unraisablehook = quiet
    try:
        yield insist
    finally:
        with lock:
            under_way = False
        sys.unraisablehook = hook
