"""Who does the tasks: processes, threads, a Dask cluster, or nobody else. Results come in the order of the tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, TypeVar

from fovea.core.errors import RunError, UserError, nearest
from fovea.core.resources import usable_cores
from fovea.shards.processes import one_thread_each, processes

Given = TypeVar("Given")
Made = TypeVar("Made")

_KNOWN = ("process", "thread", "serial", "dask")

_BROKEN = (
    "a process that packs pictures was killed, mostly because the memory was used up; run the same command again with "
    "a smaller prepare.workers, what is finished is kept"
)


class Serial(Executor):
    """Does everything at once, in the process itself."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the function."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def opened(name: str, workers: int | None, scheduler: str | None) -> AbstractContextManager[Executor]:
    """The executor of a name; when the block ends, by an error or a signal too, nothing of it goes on.

    Args:
        name: `process`, `thread`, `serial`, `dask`, or ``module:callable``, called with the number of workers.
        workers: None: one a core.
        scheduler: Address of a Dask scheduler; None: a cluster of local processes.

    Raises:
        UserError: There is no such executor, or it cannot be had.
    """
    check(name)
    count = workers or usable_cores()
    if name == "serial":
        return Serial()
    if name == "thread":
        return _threads(count)
    if name == "process":
        return processes(count)
    if name == "dask":
        from fovea.shards.cluster import dask

        return dask(count, scheduler)
    return _named(name, count)


def check(name: str) -> None:
    """Refuses a name that no executor has; a ``module:callable`` is looked at when it is used.

    Raises:
        UserError: There is no such executor.
    """
    if name not in _KNOWN and ":" not in name:
        raise UserError(f"unknown prepare.executor '{name}'{nearest(name, [*_KNOWN, 'module:callable'])}")


def in_order(
    executor: Executor, work: Callable[[Given], Made], tasks: Iterable[Given], *, window: int
) -> Generator[Made, None, None]:
    """The results in the order of the tasks; no more than `window` tasks are waiting or under way at any time.

    Raises:
        RunError: The process that did a task is gone, or what `work` raises.
    """
    pending: deque[Future[Made]] = deque()
    try:
        for task in tasks:
            pending.append(executor.submit(work, task))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise RunError(_BROKEN) from error
    finally:
        for future in pending:
            future.cancel()


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    executor = ThreadPoolExecutor(count, thread_name_prefix="prepare")
    with one_thread_each():
        try:
            yield executor
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _named(name: str, count: int) -> Iterator[Executor]:
    module, _, function = name.partition(":")
    try:
        make = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"prepare.executor '{name}' cannot be imported ({error})") from error
    executor = make(count)
    if not isinstance(executor, Executor):
        raise UserError(
            f"prepare.executor '{name}' gives a {type(executor).__name__}, not a concurrent.futures.Executor"
        )
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
