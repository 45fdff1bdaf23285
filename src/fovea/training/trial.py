"""Training steps on batches of a given size, in a process of its own that may fail.

`fovea.training.footprint` starts it as `python -m fovea.training.trial` and talks to it by lines of JSON. The first
line of standard input is the job and its data, every further one a batch size. Standard output has a line about the
machine, then one for each size.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from fovea.core.errors import FoveaError
from fovea.core.resources import available_memory, process_memory
from fovea.loading import Batch
from fovea.loading.loader import ready_made
from fovea.shards import PreparedData
from fovea.training.assembly import Assembly, assemble
from fovea.training.compiling import compiled
from fovea.training.fit import make_trainer, quiet
from fovea.training.job import TrainJob
from fovea.training.out_of_memory import is_out_of_memory

_STEPS = 3  # timed, after the first, in which the optimiser makes its state and kernels are chosen
_SAMPLE = 8  # pictures that are loaded, and repeated as often as a batch needs


def repeated(batch: Batch, size: int) -> Batch:
    """A batch of `size` pictures made of those of another, which takes the memory that a loaded one would."""
    rows = torch.arange(size) % len(batch.labels)
    mix = batch.mix
    if mix is not None:
        mix = mix._replace(partner=mix.partner[rows] % size, share=mix.share[rows], boxes=mix.boxes[rows])
    return Batch(batch.images[rows], batch.labels[rows], batch.rows[rows], mix)


class _Clock(pl.Callback):
    """Notes the seconds of every step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self._start)


class Trial:
    """The job's training, ready to be tried at any batch size.

    Args:
        job: What would be trained.
        prepared: On what.
    """

    def __init__(self, job: TrainJob, prepared: PreparedData) -> None:
        self._is_cuda = job.trainer.accelerator != "cpu" and torch.cuda.is_available()
        self.available = torch.cuda.mem_get_info()[0] if self._is_cuda else available_memory()
        self._base = process_memory("VmRSS")
        if not self._is_cuda:
            _restrain(self.available)
        loader = job.loader.model_copy(update={"batch_size": _SAMPLE, "cache": "none"})
        self._job = job.model_copy(update={"loader": loader})
        self._parts: Assembly = assemble(self._job, prepared)
        batches = self._parts.data.train_dataloader()
        self._batch: Batch = next(iter(batches))
        self.picture = self._batch.images[0].nbytes
        # Batches that wait in the loader are not on the GPU.
        self.ahead = 0 if self._is_cuda else batches.num_workers * (batches.prefetch_factor or 0)
        self(_SAMPLE)  # loads code and sets up what every later step finds in place

    def __call__(self, size: int) -> dict[str, Any]:
        """Trains some steps; `memory` is in bytes, and None where there is not enough of it."""
        self._start_afresh()
        clock = _Clock()
        steps = 1 + _STEPS
        once = {"max_epochs": 1, "max_steps": steps, "limit_val_batches": 0, "enable_checkpointing": False}
        try:
            batches: DataLoader[Batch] = DataLoader(
                [repeated(self._batch, size)] * steps,  # type: ignore[arg-type]
                batch_size=None,
                collate_fn=ready_made,  # type: ignore[arg-type]
            )
            with quiet(), compiled(self._parts.module.net, wanted=self._job.trainer.compile):
                trainer = make_trainer(self._job, Path(), [clock], accumulate_grad_batches=1, **once)
                trainer.fit(self._parts.module, train_dataloaders=batches)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return {"size": size, "memory": None, "seconds": None}
        return {"size": size, "memory": self._peak(), "seconds": min(clock.seconds[1:])}

    def _start_afresh(self) -> None:
        """Lets go of the gradients and the optimiser of the size before, and forgets the peak."""
        self._parts.module.trainer = None
        self._parts.module.zero_grad(set_to_none=True)
        gc.collect()
        if self._is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            return
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def _peak(self) -> int:
        return torch.cuda.max_memory_reserved() if self._is_cuda else process_memory("VmHWM") - self._base


def _restrain(available: int) -> None:
    """Lets an allocation fail that the machine cannot bear, and the kernel end this process before any other."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (process_memory("VmData") + available, hard))


def main() -> int:
    """Answers until standard input ends; returns the process's exit code."""
    answer = _answers()
    order = json.loads(sys.stdin.readline())
    try:
        trial = Trial(TrainJob.parse(order["job"]), PreparedData.open(Path(order["prepared"])))
        answer({"available": trial.available, "picture": trial.picture, "ahead": trial.ahead})
        for line in sys.stdin:
            answer(trial(int(line)))
    except FoveaError as error:
        answer({"code": error.exit_code, "error": str(error)})
        return error.exit_code
    return 0


def _answers() -> Callable[[dict[str, Any]], None]:
    """Writes lines to what is standard output now; what libraries print goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return lambda content: print(json.dumps(content), file=stream)


if __name__ == "__main__":
    sys.exit(main())
