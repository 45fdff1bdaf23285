"""Processes of this machine that do tasks, and end when the process that started them ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType

_PATIENCE = 5.0  # seconds until a process that was told to end is killed


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """A pool of new interpreters; when the block ends, by an error or a signal too, they are stopped at once.

    They share nothing with this process, so that it may have threads, and import only what their tasks need.

    Args:
        count: How many.
    """
    executor = ProcessPoolExecutor(count, mp_context=_Context(), initializer=_begin)
    try:
        yield executor
    finally:
        _stop(executor)


@contextmanager
def without_main() -> Iterator[None]:
    """Processes started in the block do not import the program that was started: it may be large, or lack a guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def signals_held() -> Iterator[None]:
    """Processes started in the block never see Ctrl-C, which a terminal sends to all; this one sees it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """OpenCV starts no threads of its own in the block: there are workers enough."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class _Worker(SpawnProcess):
    def start(self) -> None:
        with signals_held(), without_main():
            super().start()


class _Context(SpawnContext):
    Process = _Worker


def _begin() -> None:
    """The first thing a worker does."""
    import cv2

    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _stop(executor: ProcessPoolExecutor) -> None:
    # Python 3.14 has `terminate_workers`; before it the pool does not say which processes it has.
    workers = list((getattr(executor, "_processes", None) or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(_PATIENCE)
        if worker.is_alive():
            worker.kill()
            worker.join()
