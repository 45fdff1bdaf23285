"""On the path of a command that will be killed: says all the time in which part of the project it is.

Python imports this module in every process of the command. A thread of it looks at the stacks and writes the phase to
`KILL_MATRIX_PHASES/<process id>`, where the killer reads it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from types import FrameType

PARTS = (  # the first that is on a stack counts
    ("checkpoint", ("fovea/training/checkpoint_store.py:save_checkpoint",)),
    ("mlflow", ("/sqlalchemy/", "/mlflow/store/")),
    ("validate", ("loops/evaluation_loop.py:run",)),
    ("evaluate", ("fovea/evaluation/stage.py:",)),
    ("train", ("loops/training_epoch_loop.py:run",)),
    ("start of training", ("fovea/training/stage.py:", "fovea/training/worker.py:_work")),
    ("prepare", ("fovea/pipelines/prepare/", "fovea/shards/")),
    ("ingest", ("fovea/pipelines/ingest/", "fovea/datasets/")),
)
WIDTH = 24


def _phase(me: int) -> str:
    places = []
    for thread, top in sys._current_frames().items():
        frame: FrameType | None = top
        while thread != me and frame is not None:
            places.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
            frame = frame.f_back
    return next((name for name, marks in PARTS if any(m in place for place in places for m in marks)), "between")


def _watch(path: str) -> None:
    me = threading.get_ident()
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    while True:
        os.pwrite(file, _phase(me).ljust(WIDTH).encode(), 0)
        time.sleep(0.004)


if folder := os.environ.get("KILL_MATRIX_PHASES"):
    threading.Thread(target=_watch, args=(f"{folder}/{os.getpid()}",), daemon=True).start()
    os.register_at_fork(
        after_in_child=lambda: threading.Thread(target=_watch, args=(f"{folder}/{os.getpid()}",), daemon=True).start()
    )
