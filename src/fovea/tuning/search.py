"""Starts the workers of a search, sees to it that they end with it, and replaces those that die."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from fovea.config import logs
from fovea.core.errors import Interrupted, RunError, UserError
from fovea.core.resources import usable_cores
from fovea.tuning.ledger import Ledger
from fovea.tuning.plan import Plan

log = logging.getLogger("fovea")

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 120.0  # for a worker to save the state of its training
_LAST_WORDS_SECONDS = 5.0  # a process that a worker started may hold its standard output open
_MOST_CRASHES = 3  # of processes, without a trial that ends between
_SAID = (RunError.exit_code, UserError.exit_code)  # of a process that has told why it cannot work
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_PARENT = "FOVEA_TUNE_PARENT"


class _Process(NamedTuple):
    """A worker, and the thread that lets its words through."""

    popen: subprocess.Popen[str]
    voice: threading.Thread

    def hear_out(self) -> None:
        """Waits, after it has ended, until its last words are said."""
        self.voice.join(_LAST_WORDS_SECONDS)


def search(plan: Plan, ledger: Ledger, folder: Path, workers: int) -> None:
    """Has trials made until there are enough.

    Args:
        plan: The search.
        ledger: Its trials.
        folder: Of the search.
        workers: Processes at once.

    Raises:
        RunError: The workers cannot work.
        Interrupted: A signal ended it; the trials under way have saved their state.
    """
    path = folder / "plan.json"
    plan.write(path)
    count = min(workers, plan.trials - _begun(ledger))
    crew: dict[int, _Process] = {}
    crashes, begun = 0, 0
    with _ending(crew):
        for number in range(count):
            crew[number] = _start(path, number, count)
        while crew:
            time.sleep(_LOOK_SECONDS)
            for number, code in _ended(crew):
                if code in _SAID:
                    raise RunError("the search cannot go on, for the reason above; the trials that have ended are kept")
                if code == 0:
                    continue
                crashes, begun = (crashes + 1 if begun == _begun(ledger) else 1), _begun(ledger)
                if crashes > _MOST_CRASHES:
                    raise RunError(f"the processes of the search die again and again, the last one {_how(code)}")
                log.warning("tune: a process died, %s; another takes its place", _how(code))
                ledger.give_back(crashed=True)
                crew[number] = _start(path, number, count)


def _begun(ledger: Ledger) -> int:
    return sum(row.counts for row in ledger.rows())


def _ended(crew: dict[int, _Process]) -> list[tuple[int, int]]:
    """Takes the processes that have ended out of the crew; gives their numbers and exit codes."""
    codes = [(number, process.popen.poll()) for number, process in crew.items()]
    ended = [(number, code) for number, code in codes if code is not None]
    for number, _ in ended:
        crew.pop(number).hear_out()
    return ended


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def surroundings(number: int, workers: int, cores: int, gpus: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker, which leaves to the others their share of the machine.

    Args:
        number: Of the worker, from 0.
        workers: All of them.
        cores: Of the machine.
        gpus: Likewise.
        environment: Of this process.

    Returns:
        With threads and loading processes for one share of the cores, and one GPU if there are several.
    """
    threads = max(1, cores // workers)
    wished = environment.get("OMP_NUM_THREADS", "")
    own = {
        "OMP_NUM_THREADS": str(min(threads, int(wished)) if wished.isdigit() and int(wished) else threads),
        "LOCAL_WORLD_SIZE": str(workers),  # read by what shares out cores and memory among processes
        "FOVEA_VERBOSE": str(int(logs.is_verbose())),
        _PARENT: str(os.getpid()),
    }
    if gpus > 1:
        visible = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
        names = visible if visible != [""] else [str(gpu) for gpu in range(gpus)]
        own["CUDA_VISIBLE_DEVICES"] = names[number % len(names)]
    return {**environment, **own}


def _start(plan: Path, number: int, workers: int) -> _Process:
    gpus = len(list(_NVIDIA.iterdir())) if _NVIDIA.is_dir() else 0
    popen = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "fovea.tuning.worker", str(plan)],
        env=surroundings(number, workers, usable_cores(), gpus, os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C on a terminal reaches this process alone, which passes it on once
    )
    voice = threading.Thread(target=_pass_on, args=(popen.stdout,), daemon=True)
    voice.start()
    return _Process(popen, voice)


def _pass_on(stream: IO[str] | None) -> None:
    """Lets whole lines of a worker through, so that those of several do not mix."""
    for line in stream or ():
        sys.stderr.write(line)
        sys.stderr.flush()


@contextmanager
def _ending(crew: dict[int, _Process]) -> Iterator[None]:
    """Has the processes save their state and end, should the block be interrupted; a second signal kills them."""
    try:
        yield
    except BaseException:
        log.info("tune: stopping after the step under way; once more stops at once")
        for process in crew.values():
            process.popen.send_signal(signal.SIGTERM)
        try:
            deadline = time.monotonic() + _GRACE_SECONDS
            for process in crew.values():
                process.popen.wait(max(0.0, deadline - time.monotonic()))
                process.hear_out()
        except (subprocess.TimeoutExpired, Interrupted):
            for process in crew.values():
                process.popen.kill()
                process.popen.wait()
        raise
