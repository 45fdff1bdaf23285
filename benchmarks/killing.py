"""Commands that are killed at a chosen moment, with all their processes or alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from common import environment

PROBE = Path(__file__).parent / "probe"
_STOPPED = {"SIGTERM": 143, "SIGINT": 130}


class Way(StrEnum):
    """Who is sent what: SIGKILL to all processes or to the first alone; a signal that asks, to the first or to all."""

    ALL = "all"
    MAIN = "main"
    SIGTERM = "SIGTERM"
    SIGINT = "SIGINT"


@dataclass(frozen=True)
class Hit:
    """A kill that met a living command.

    Attributes:
        phase: What the command was at.
        seconds: After its start.
        kill: What was sent to whom.
        left: What was wrong right after it: processes that live on, an exit code that does not fit.
    """

    phase: str
    seconds: float
    kill: str
    left: list[str]


def processes_of(root: Path) -> dict[int, str]:
    """The living processes that have to do with a project: by their folder, command line or environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            words = (folder / "cmdline").read_bytes()
            about = [os.fsencode((folder / "cwd").readlink()), words, (folder / "environ").read_bytes()]
            if state not in "ZX" and any(os.fsencode(root) in text for text in about):
                found[int(folder.name)] = words.replace(b"\0", b" ").decode(errors="replace").strip()[:120]
    return found


def kill_all(root: Path) -> None:
    """Kills every process of a project."""
    for _ in range(3):  # one may have been about to start another
        for pid in processes_of(root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Attempt:
    """One run of the command in a project.

    Args:
        command: The command.
        root: The project.
    """

    def __init__(self, command: Sequence[str], root: Path) -> None:
        self._root = root
        self._phases = root.parent / "phases"
        self._log = root.parent / "output.log"
        temporary = root.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        self._phases.mkdir(exist_ok=True)
        for file in self._phases.iterdir():
            file.unlink()
        variables = environment(
            PYTHONPATH=f"{PROBE}{os.pathsep}{root / 'src'}",
            KILL_MATRIX_PHASES=str(self._phases),
            OMP_NUM_THREADS="1",
            TMPDIR=str(temporary),
            DVC_SITE_CACHE_DIR=str(root.parent / "dvc-site"),
            DVC_NO_ANALYTICS="1",
        )
        self._start = time.monotonic()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=root, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def said(self) -> str:
        """What the command wrote."""
        return self._log.read_text(errors="replace")

    def finish(self, *, check: bool = True) -> list[str]:
        """Waits for its end.

        Args:
            check: Whether to give up the benchmark if it does not end well.

        Returns:
            What is wrong.
        """
        self._process.wait(600)
        wrong = self.wrongs(ended=True)
        if wrong and check:
            raise RuntimeError(f"{wrong}\n{self.said()[-3000:]}")
        return wrong

    def strike_at(self, seconds: float, way: Way) -> Hit | None:
        """Kills after so many seconds; None if it ended before."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._strike(way)

    def strike_in(self, phase: str, later: float, way: Way) -> Hit | None:
        """Kills so many seconds after a phase began; None if it ended before."""
        while self._process.poll() is None and phase not in self._at():
            time.sleep(0.001)
        end = time.monotonic() + later
        while self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        return self._strike(way)

    def wrongs(self, *, ended: bool) -> list[str]:
        """What is not as it must be after its end."""
        code = self._process.returncode
        wrong = [f"exit code {code}"] if ended and code else []
        return wrong + [f"process left: {words}" for words in self._survivors(5).values()]

    def _at(self) -> set[str]:
        phases = set()
        for file in self._phases.iterdir():
            if Path(f"/proc/{file.name}").exists():
                with suppress(OSError):
                    phases.add(file.read_text().strip())
        return phases

    def _phase(self) -> str:
        order = ("checkpoint", "mlflow", "validate", "train", "evaluate", "start of training", "prepare", "ingest")
        at = self._at()
        return next((name for name in order if name in at), "between stages")

    def _strike(self, way: Way) -> Hit | None:
        phase, seconds = self._phase(), time.monotonic() - self._start
        if self._process.poll() is not None:
            return None
        if way is Way.ALL:
            kill, wrong = "SIGKILL to all", self._kill_all()
        elif way is Way.MAIN:
            self._process.kill()
            self._process.wait()
            kill, wrong = "SIGKILL to the first", self._and_gone(10)
        else:
            kill, wrong = f"{way} to all", self._ask(way)
        if any(self._root.glob("data/06_models/_work/*/.*.tmp")):
            phase = "checkpoint"  # cut off in writing
        return Hit(phase, seconds, kill, wrong)

    def _kill_all(self) -> list[str]:
        kill_all(self._root)
        self._process.wait()
        return self._and_gone(2)

    def _ask(self, way: Way) -> list[str]:
        os.killpg(self._process.pid, signal.Signals[way])
        try:
            code = self._process.wait(60)
            code = code if code >= 0 else 128 - code  # as a shell tells it of DVC, which does not hear SIGTERM itself
        except subprocess.TimeoutExpired:
            self._kill_all()
            return [f"{way} was not heard within 60 s"]
        wrong = [] if code in (_STOPPED[way], 0) else [f"exit code {code} after {way}: {self.said()[-300:]}"]
        return wrong + self._and_gone(10)

    def _and_gone(self, seconds: float) -> list[str]:
        left = self._survivors(seconds)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [f"lived on for {seconds:.0f} s: {words}" for words in left.values()]

    def _survivors(self, seconds: float) -> dict[int, str]:
        end = time.monotonic() + seconds
        while (left := processes_of(self._root)) and time.monotonic() < end:
            time.sleep(0.02)
        return left
