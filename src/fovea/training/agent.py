"""torch's elastic agent, with our words, our patience, and an eye for what a restart cannot mend."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import LogsDest, LogsSpecs, SignalException
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.api import RendezvousConnectionError, RendezvousError
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from fovea.core.errors import Interrupted, RunError
from fovea.training import heartbeat
from fovea.training.failures import REPORT, Failure, cause

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.api import SubprocessContext
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

    from fovea.config.schema import LaunchConfig
    from fovea.training.launcher import Group

log = logging.getLogger("fovea")

_LOOK_SECONDS = 0.1
_GOODBYE_SECONDS = 60  # to save a checkpoint after a signal
_COME_SECONDS = 600  # for the machines to come together


class _Folders(LogsSpecs):
    """Rank 0 of this machine speaks for all; what the others say goes to a file each.

    Args:
        folder: Where the files and the signs of life lie.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(log_dir=str(folder))
        self.attempt = 0

    @property
    def root_log_dir(self) -> str:
        """The folder."""
        return str(self._root_log_dir)

    def of(self, local_rank: int) -> Path:
        """The folder of a process in the present attempt."""
        return Path(self.root_log_dir) / str(self.attempt) / str(local_rank)

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        """Makes the folders of an attempt and tells the processes of them."""
        self.attempt += 1
        nowhere = dict.fromkeys(envs, "")
        outputs, reports = dict(nowhere), {}
        for local_rank, environment in envs.items():
            folder = self.of(local_rank)
            folder.mkdir(parents=True)
            reports[local_rank] = str(folder / "report.json")
            environment |= {REPORT: reports[local_rank], heartbeat.PATH: str(folder)}
            if environment["RANK"] != "0":
                outputs[local_rank] = str(folder / "output.log")
        return LogsDest(outputs, dict(outputs), nowhere, dict(nowhere), reports, "", "")


class Agent(LocalElasticAgent):
    """Keeps the processes of this machine running.

    Args:
        spec: What they are.
        folders: Where they leave word.
        launch: How patient to be.
    """

    def __init__(self, spec: WorkerSpec, folders: _Folders, launch: LaunchConfig) -> None:
        super().__init__(spec, folders, exit_barrier_timeout=_GOODBYE_SECONDS, shutdown_timeout=_GOODBYE_SECONDS)
        self._folders = folders
        self._launch = launch
        self._hung: dict[int, str] = {}
        self._first: set[int] = set()
        self.failures: list[Failure] = []

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        self._hung = {}
        started: dict[int, Any] = super()._start_workers(worker_group)
        self._first = set()
        context = cast("SubprocessContext", self._pcontext)
        close = context.close

        def close_at_once(death_sig: signal.Signals | None = None, timeout: int = _GOODBYE_SECONDS) -> None:
            """Where one has died the others wait for it in vain, and what they have is on disk: no time is lost."""
            if death_sig is None:
                self._first = set(context._failures)
            close(death_sig or signal.SIGKILL, timeout)

        context.close = close_at_once  # type: ignore[method-assign]
        return started

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        self._kill_hung(worker_group)
        result: RunResult = super()._monitor_workers(worker_group)
        if result.state is WorkerState.FAILED:
            failed = [one for one in result.failures.items() if one[1].local_rank in self._first]
            self.failures = [self._failure(rank, failure) for rank, failure in failed]
            first = cause(self.failures)
            if first.is_final:
                self._remaining_restarts = 0
            elif self._remaining_restarts:
                attempt = self._launch.max_restarts - self._remaining_restarts + 1
                log.warning(
                    "train: %s; all processes start anew from the last checkpoint (restart %d of %d)",
                    first.sentence,
                    attempt,
                    self._launch.max_restarts,
                )
        return result

    def _failure(self, rank: int, failure: ProcessFailure) -> Failure:
        local = failure.local_rank
        beat = heartbeat.last_beat(self._folders.of(local))
        if local in self._hung:
            return Failure(rank, failure.exitcode, "", self._hung[local])
        words = beat.words if beat is not None else ""
        return Failure.of(rank, failure.exitcode, failure.error_file_data, words)

    def _kill_hung(self, worker_group: WorkerGroup) -> None:
        """Kills the processes that hold the others up, once all of them have stood still for too long."""
        beats = {one.local_rank: heartbeat.last_beat(self._folders.of(one.local_rank)) for one in worker_group.workers}
        known = {local: beat for local, beat in beats.items() if beat is not None and beat.epoch}
        if not known or self._hung:
            return
        still = time.monotonic() - max(beat.when for beat in known.values())
        if still < self._launch.timeout_seconds:
            return
        pids = {worker.local_rank: int(worker.id) for worker in worker_group.workers}
        halted = [local for local in known if heartbeat.is_stopped(pids[local])]
        last = min(beat.place for beat in known.values())
        guilty = halted or [local for local, beat in known.items() if beat.place == last]
        for local in guilty:
            words = "halted by a signal" if local in halted else "hung"
            self._hung[local] = (
                f"{words} {known[local].words}: no step for {still:.0f} s (trainer.launch.timeout_seconds)"
            )
            with suppress(ProcessLookupError):
                os.killpg(pids[local], signal.SIGKILL)


def run_agent(arguments: Sequence[str], group: Group, launch: LaunchConfig, folder: Path) -> list[Failure]:
    """Runs Python with these arguments in every process until all have ended well, or one cannot.

    Returns:
        What ended them, if they did not end well.

    Raises:
        RunError: The machines do not come together.
        Interrupted: A signal ended it; the processes were told, and waited for.
    """
    _keep_from_terminal("torch.distributed.elastic")
    least, most = group.nodes
    alone = group.rendezvous is None
    address = "127.0.0.1" if alone else group.address
    parameters = RendezvousParameters(
        backend="c10d",
        endpoint=group.rendezvous or "127.0.0.1:0",
        run_id=uuid.uuid4().hex if alone else group.job,
        min_nodes=least,
        max_nodes=most,
        local_addr=address,
        join_timeout=_COME_SECONDS,
        last_call_timeout=15,
        keep_alive_interval=2,
        keep_alive_max_attempt=3,
        **_host(group),
    )
    try:
        handler = get_rendezvous_handler(parameters)
        spec = WorkerSpec(
            role="train",
            local_world_size=group.processes,
            entrypoint=sys.executable,
            args=tuple(arguments),
            rdzv_handler=handler,
            max_restarts=launch.max_restarts,
            monitor_interval=_LOOK_SECONDS,
            local_addr=address,
        )
        agent = Agent(spec, _Folders(folder), launch)
        try:
            with _settings():
                result = agent.run()
        finally:
            handler.shutdown()
    except SignalException as error:  # torch puts its own handlers in the place of ours
        raise Interrupted(error.sigval) from None
    except (RendezvousConnectionError, RendezvousError) as error:
        raise RunError(
            f"the machines did not come together at {group.rendezvous} ({_first_line(error)}); check that HOST is one "
            "of them, that PORT is free there and open to the others, and that all use the same --nodes and --job"
        ) from error
    return agent.failures if result.is_failed() else []


@contextmanager
def _settings() -> Iterator[None]:
    """What torch's agent is told by the environment alone."""
    # Its restarts over gloo mostly hang where its store is shared: new processes find the addresses of dead ones in it
    # (https://github.com/pytorch/pytorch/issues/135712).
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    # The signals that stop a command are `stoppable`'s; torch wants to have one at least.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGQUIT"
    before = signal.getsignal(signal.SIGQUIT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGQUIT, before)


def _host(group: Group) -> dict[str, bool]:
    """Whether this machine is the one where all meet; torch finds it by the machine's name, where that leads to it."""
    if group.rendezvous is None or group.address is None:
        return {}
    return {"is_host": group.rendezvous.rpartition(":")[0] == group.address}


def _keep_from_terminal(name: str) -> None:
    """Lets a logger of torch's write to the log file alone; what matters of it is told in our words."""
    logger = logging.getLogger(name)
    logger.propagate = False
    files = [one for one in logging.getLogger().handlers if isinstance(one, logging.FileHandler)]
    logger.handlers = [*files] or [logging.NullHandler()]


def _first_line(error: BaseException) -> str:
    return str(error.__cause__ or error).splitlines()[0].rstrip(".")
