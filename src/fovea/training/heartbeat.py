"""Where each process of a training is, told in a few bytes of shared memory, so that one that hangs can be found."""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

PATH = "FOVEA_HEARTBEAT"
"""The variable that names the folder of a process's heart."""

_LAYOUT = struct.Struct("<dqqq")
_FILE = "heart"


class Beat(NamedTuple):
    """The last sign of life of a process.

    Attributes:
        when: `time.monotonic()` of the machine.
        epoch: From 1; 0: training has not begun.
        batch: From 1.
        phase: 1 between the beginning of a training batch and its end; 0 elsewhere.
    """

    when: float
    epoch: int
    batch: int
    phase: int

    @property
    def place(self) -> tuple[int, int, int]:
        """How far the process has come."""
        return self.epoch, self.batch, self.phase

    @property
    def words(self) -> str:
        """As in ``"in epoch 2, batch 31"``."""
        return f"in epoch {self.epoch}, batch {self.batch}" if self.epoch else "before its first step"


class Heart:
    """Writes the beats of this process.

    Args:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _FILE).open("w+b") as file:
            file.truncate(_LAYOUT.size)
            self._memory = mmap.mmap(file.fileno(), _LAYOUT.size)

    def beat(self, epoch: int, batch: int, phase: int) -> None:
        """Leaves a sign of life."""
        _LAYOUT.pack_into(self._memory, 0, time.monotonic(), epoch, batch, phase)


def last_beat(folder: Path) -> Beat | None:
    """The last sign of life of the process with this folder; None: it has left none."""
    try:
        beat = Beat(*_LAYOUT.unpack((folder / _FILE).read_bytes()))
    except (OSError, struct.error):
        return None
    return beat if beat.when else None


def own_heart() -> Heart | None:
    """This process's heart, where its launcher listens to one."""
    folder = os.environ.get(PATH)
    return Heart(Path(folder)) if folder else None


def is_stopped(pid: int) -> bool:
    """Whether a process was halted by a signal."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "tT"
    except (OSError, IndexError):
        return False
