"""What a training step costs by the size of its batch, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fovea.core.errors import RunError, UserError

if TYPE_CHECKING:
    from fovea.shards import PreparedData
    from fovea.training.job import TrainJob

PART = 0.9  # of the memory that is available; the rest is for what was not measured
_GAIN = 1.05


@dataclass(frozen=True)
class Step:
    """A training step that was made.

    Attributes:
        size: Pictures of its batch.
        memory: Bytes that it took at most, with weights, gradients and the optimiser's state.
        seconds: The shortest time of such a step, without loading.
    """

    size: int
    memory: int
    seconds: float

    @property
    def pictures_per_second(self) -> float:
        """Throughput."""
        return self.size / self.seconds


@dataclass(frozen=True)
class Line:
    """Memory as a linear function of the batch size.

    Attributes:
        fixed: Bytes without any picture.
        each: Bytes of each picture.
    """

    fixed: float
    each: float

    @classmethod
    def through(cls, steps: Sequence[Step], least: float) -> Line:
        """By least squares.

        Args:
            steps: Of two or more sizes.
            least: Bytes that each picture takes at least.
        """
        sizes, memory = np.array([step.size for step in steps], float), np.array([step.memory for step in steps], float)
        slope = float(np.cov(sizes, memory, bias=True)[0, 1] / np.var(sizes))
        each = max(slope, least)
        return cls(max(float(np.mean(memory - each * sizes)), 0.0), each)

    def needed(self, size: int) -> float:
        """Bytes of a step on a batch of `size` pictures."""
        return self.fixed + self.each * size

    def fitting(self, memory: float) -> int:
        """The most pictures that fit into so many bytes; 0: none do."""
        return max(0, int((memory - self.fixed) / self.each))


@dataclass(frozen=True)
class Footprint:
    """What was measured.

    Attributes:
        steps: By growing size.
        line: Of memory, with what the loader holds ready.
        available: Bytes there are.
        refused: The first size that did not fit when it was tried; None: all did.
    """

    steps: tuple[Step, ...]
    line: Line
    available: int
    refused: int | None

    def largest(self, most: int) -> int:
        """The largest power of two that fits, at most `most`; 0: none does."""
        if self.refused is not None:
            return self.steps[-1].size if self.steps else 0
        return power_of_two(min(self.line.fitting(PART * self.available), most))

    def fastest(self) -> int:
        """The smallest size that no larger one exceeds by 5 % in throughput."""
        rates = [step.pictures_per_second for step in self.steps]
        return next(step.size for place, step in enumerate(self.steps) if max(rates[place:]) <= _GAIN * rates[place])


def power_of_two(most: int) -> int:
    """The largest power of two that is at most `most`; 0 for 0."""
    return 1 << (most.bit_length() - 1) if most else 0


def measure(job: TrainJob, prepared: PreparedData, *, most: int, seconds: float, factor: int = 2) -> Footprint:
    """Tries growing sizes, while they fit and the time lasts.

    No trial is begun that would take more memory than there is by the ones before it, and each runs in a process that
    the kernel would end first.

    Args:
        job: What would be trained.
        prepared: On what.
        most: The largest size that is tried.
        seconds: For all steps together; at least two sizes are tried.
        factor: Of each size over the one before, and the first size; a power of two.

    Raises:
        UserError: The job does not fit the data or the machine.
        RunError: A step failed for another reason than memory.
    """
    steps: list[Step] = []
    refused = None
    with _process(job, prepared) as ask:
        machine = ask(None) or {}
        available, least = int(machine["available"]), float(machine["picture"])
        size = factor
        while size <= most:
            if len(steps) >= 2 and Line.through(steps, least).needed(size) > PART * available:
                break
            if len(steps) >= 2 and _spent(steps) + factor * _spent(steps[-1:]) > seconds:
                break
            told = ask(size)
            if told is None or told["memory"] is None:
                refused = size
                break
            steps.append(Step(size, int(told["memory"]), float(told["seconds"])))
            size *= factor
    line = Line.through(steps, least) if len(steps) >= 2 else Line(0.0, least)
    line = Line(line.fixed, line.each + least * float(machine["ahead"]))
    return Footprint(tuple(steps), line, available, refused)


def _spent(steps: Sequence[Step]) -> float:
    """Seconds of trials; each makes four steps."""
    return 4 * sum(step.seconds for step in steps)


@contextmanager
def _process(job: TrainJob, prepared: PreparedData) -> Iterator[Any]:
    """A function that asks `fovea.training.trial` for a size (None: for the machine); None if the process was killed.

    Raises:
        UserError: As `measure`.
        RunError: Likewise.
    """
    with (
        tempfile.TemporaryFile("w+") as noise,
        subprocess.Popen(
            [sys.executable, "-m", "fovea.training.trial"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            text=True,
        ) as process,
    ):

        def ask(size: int | None) -> dict[str, Any] | None:
            order = {"job": job.plain(), "prepared": str(prepared.path)} if size is None else size
            line = _exchange(process, json.dumps(order))
            if not line and process.wait() < 0 and size is not None:
                return None
            if not line:
                raise RunError(f"a trial of a training step failed: {_last_line(noise)}")
            told: dict[str, Any] = json.loads(line)
            if "error" in told:
                raise (UserError if told["code"] == UserError.exit_code else RunError)(told["error"])
            return told

        try:
            yield ask
        finally:
            process.kill()


def _exchange(process: subprocess.Popen[str], order: str) -> str:
    """A line to the process and its answer; empty if it has ended."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(order + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def _last_line(noise: IO[str]) -> str:
    noise.seek(0)
    lines = noise.read().split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it ended without a word")
