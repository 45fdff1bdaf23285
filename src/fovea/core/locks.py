"""One process at a time, and a sentence that says which process has it."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fovea.core.errors import RunError
from fovea.core.files import explained

_LOG = logging.getLogger(__name__)


class BusyError(RunError):
    """Another process holds the lock."""


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"process {note['pid']} on {note['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


@contextmanager
def exclusive(path: Path, what: str, way_out: str, wait: float = 0.0) -> Iterator[None]:
    """Holds the lock file `path` for the block.

    The lock is the operating system's (`flock`), so the lock of a process that died is free at once; the file that
    stays behind means nothing.

    Args:
        path: The lock file; a note of its holder stands beside it as ``<path>.holder``.
        what: What the lock stands for, as in ``"training of this configuration"``.
        way_out: What the user can do instead of waiting.
        wait: Seconds to wait for it; -1 waits for ever.

    Raises:
        BusyError: Another process holds it.
        RunError: The lock file cannot be written.
    """
    note = _note(path)
    with explained(f"locking {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(path))
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            raise BusyError(f"{what} is already under way in {_holder(note)}; {way_out}") from None
    try:
        with suppress(OSError):  # the note is a courtesy: a full disk must not stop the work for it
            note.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path` at the moment; nothing is written."""
    if not path.exists():
        return False
    lock = FileLock(str(path))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def forget_dead(path: Path) -> None:
    """Removes the note of a holder that was killed; for what is done, so that nobody takes its lock any more."""
    note = _note(path)
    with suppress(OSError):
        if note.exists() and not is_held(path):
            note.unlink(missing_ok=True)


@contextmanager
def waiting(path: Path, what: str) -> Iterator[None]:
    """Like `exclusive`, but waits as long as it takes and says so once.

    Args:
        path: The lock file.
        what: What the lock stands for, as in ``"fetching train-images-idx3-ubyte.gz"``.

    Raises:
        RunError: The lock file cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(path, what, "waiting for it to end"))
        except BusyError as busy:
            _LOG.info("%s", busy)
            stack.enter_context(exclusive(path, what, "", wait=-1))
        yield
