"""How a process of a training tells its launcher what ended it, and what the launcher makes of it."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.core.errors import FoveaError, Interrupted

REPORT = "TORCHELASTIC_ERROR_FILE"
"""The variable that names the file for the report; torchrun sets it too."""

_FINAL = (1, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM)
HUNG = ("hung", "halted")
"""What the launcher's words on a process begin with that it killed itself."""
_CRASH = 70  # as in sysexits.h: an error inside the program


def exit_code(error: BaseException) -> int:
    """The exit code of a process that an error ends; what a restart may mend is none of the project's own."""
    if isinstance(error, (FoveaError, Interrupted)):
        return error.exit_code
    return _CRASH


def write_report(error: BaseException) -> None:
    """Leaves word for the launcher, in the form that torchrun reads as well."""
    path = os.environ.get(REPORT)
    if not path:
        return
    text = str(error) or type(error).__name__
    if not isinstance(error, (FoveaError, Interrupted)):
        text = f"{type(error).__name__}: {text}"
    extra = {"timestamp": str(int(time.time())), "py_callstack": traceback.format_exc()}
    Path(path).write_text(json.dumps({"message": {"message": text, "extraInfo": extra}}))


@dataclass(frozen=True)
class Failure:
    """The end of one process.

    Attributes:
        rank: Its number.
        code: Its exit code; negative: the signal that killed it.
        report: What it said itself; empty: nothing.
        words: Where it was and what the launcher saw.
    """

    rank: int
    code: int
    report: str
    words: str

    @classmethod
    def of(cls, rank: int, code: int, data: dict[str, Any], words: str) -> Failure:
        """From what torch's agent keeps.

        Args:
            rank: The number of the process.
            code: Its exit code.
            data: The content of its report; without a `message` it left none.
            words: Where it was.
        """
        message = data.get("message", "")
        text = message.get("message", "") if isinstance(message, dict) else ""
        return cls(rank, code, str(text), words)

    @property
    def is_final(self) -> bool:
        """Whether it would end the same way again."""
        return self.code in _FINAL

    @property
    def sentence(self) -> str:
        """As in ``"rank 1 was killed by SIGKILL in epoch 2, batch 31"``."""
        if self.words.startswith(HUNG):
            return f"rank {self.rank} {self.words}"
        if self.code < 0:
            hint = " (as the system does when memory is full)" if self.code == -signal.SIGKILL else ""
            return f"rank {self.rank} was killed by {signal.Signals(-self.code).name}{hint} {self.words}".rstrip()
        first = " ".join(self.report.split())
        said = f": {first[:300]}" if first else f" with exit code {self.code}"
        return f"rank {self.rank} ended {self.words}{said}"


def cause(failures: list[Failure]) -> Failure:
    """The failure that the others follow from.

    A mistake or an interruption comes first, then a kill, then an error of its own; last, what a process says that has
    lost its neighbours.
    """

    def order(failure: Failure) -> tuple[int, int]:
        if failure.is_final:
            return 0, failure.rank
        if failure.code < 0 and failure.code != -signal.SIGTERM:
            return 1, failure.rank
        lost = any(word in failure.report for word in ("Connection closed", "gloo", "NCCL", "Socket", "peer"))
        return (3 if lost else 2), failure.rank

    return min(failures, key=order)
