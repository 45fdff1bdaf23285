"""Who does the work has no say in what comes out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import RunError, UserError
from fovea.shards import executors
from fovea.shards.pack import pack

Make = Callable[..., Any]


def threads(count: int) -> Executor:
    """An executor of a user's own."""
    return ThreadPoolExecutor(count)


def nothing(count: int) -> int:
    return count


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def double(number: int) -> int:
    return 2 * number


def fail(number: int) -> int:
    if number == 3:
        raise RunError("the third is damaged")
    return number


@pytest.fixture
def contents(tmp_path: Path, data: Make, config: Make, photos: Make) -> Callable[..., dict[str, bytes]]:
    """Packs the same 90 pictures in some nine shards and gives the bytes of all files."""
    samples = photos(90)

    def make(**changes: Any) -> dict[str, bytes]:
        folder = tmp_path / f"packed-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        settings = config(**changes).model_copy(update={"shard_mb": 0.03})
        pack([samples], folder, data(channels=3), settings)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    return make


@pytest.fixture
def expected(contents: Make) -> dict[str, bytes]:
    files: dict[str, bytes] = contents(executor="serial")
    assert len(files) > 6
    return files


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_give_the_same_bytes(contents: Make, expected: dict[str, bytes], workers: int) -> None:
    assert contents(executor="thread", workers=workers) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_the_same_bytes(contents: Make, expected: dict[str, bytes], workers: int) -> None:
    assert contents(executor="process", workers=workers) == expected


def test_a_users_own_executor_gives_the_same_bytes(
    contents: Make, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "own_executors", sys.modules[__name__])
    assert contents(executor="own_executors:threads", workers=2) == expected


@pytest.mark.slow
def test_a_dask_cluster_of_two_workers_gives_the_same_bytes(contents: Make, expected: dict[str, bytes]) -> None:
    pytest.importorskip("distributed")
    assert contents(executor="dask", workers=2) == expected


@pytest.mark.slow
def test_a_dask_scheduler_that_is_running_is_used(contents: Make, expected: dict[str, bytes]) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        assert contents(executor="dask", scheduler=cluster.scheduler_address) == expected


@pytest.mark.slow
def test_a_dask_scheduler_that_does_not_answer_is_told(contents: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("fovea.shards.cluster._CONNECT", 1)
    with pytest.raises(UserError, match=r"no Dask scheduler answers at prepare.scheduler=tcp://127.0.0.1:9"):
        contents(executor="dask", scheduler="tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("proces", "unknown prepare.executor 'proces'; did you mean 'process'?"),
        ("nowhere_at_all:make", "prepare.executor 'nowhere_at_all:make' cannot be imported"),
        ("concurrent.futures:Nobody", "prepare.executor 'concurrent.futures:Nobody' cannot be imported"),
        ("operator:index", r"prepare.executor 'operator:index' gives a int, not a concurrent.futures.Executor"),
    ],
)
def test_what_is_no_executor_is_the_users_mistake(contents: Make, name: str, words: str) -> None:
    with pytest.raises(UserError, match=words.replace("?", r"\?")):
        contents(executor=name, workers=2)


def test_results_come_in_order_and_only_some_tasks_wait(tmp_path: Path) -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    with executors.opened("thread", 2, None) as executor:
        results = executors.in_order(executor, double, tasks(), window=4)
        assert next(results) == 0
        assert len(taken) == 4
        assert list(results) == list(range(2, 40, 2))


def test_a_workers_error_is_the_same_here() -> None:
    with (
        pytest.raises(RunError, match="the third is damaged"),
        executors.opened("process", 2, None) as executor,
    ):
        list(executors.in_order(executor, fail, range(10), window=4))


def test_a_killed_worker_is_told_in_one_sentence() -> None:
    with (
        pytest.raises(RunError, match=r"was killed, mostly because the memory was used up; .* prepare.workers"),
        executors.opened("process", 2, None) as executor,
    ):
        list(executors.in_order(executor, die, range(4), window=4))


SLEEP = """
import sys, time
from fovea.shards import executors
assert __name__ == "__main__", "a worker has imported the program"
with executors.opened("process", 2, None) as executor:
    for _ in executors.in_order(executor, time.sleep, [0, 0, 60, 60, 60], window=5):
        print("\\n".join(str(worker.pid) for worker in executor._processes.values()), flush=True)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_program(tmp_path: Path, stop: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(SLEEP)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    workers = [int(process.stdout.readline()) for _ in range(2)]
    assert all(alive(worker) for worker in workers)
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)  # as a terminal does
    else:
        process.kill()
    said = process.communicate(timeout=60)[1]
    while any(alive(worker) for worker in workers):
        time.sleep(0.02)
    if stop == signal.SIGINT:
        assert said.count("Traceback") <= 2  # the program's own, none of a worker
        assert "KeyboardInterrupt" in said


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
