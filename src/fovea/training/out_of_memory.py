"""Memory that ran out during a training, told in one sentence with the batch that would fit."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from fovea.core.errors import FoveaError, RunError
from fovea.training.footprint import PART, Footprint, measure

if TYPE_CHECKING:
    from fovea.shards import PreparedData
    from fovea.training.job import TrainJob

_WORDS = ("can't allocate memory", "bad_alloc", "out of memory", "could not create a memory object")
_SECONDS = 15.0  # for the trials behind the sentence


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had, on the processor or on a GPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


@contextmanager
def memory_told(job: TrainJob, prepared: PreparedData) -> Iterator[None]:
    """Turns the errors of a block whose memory ran out into a sentence; what a step needs is measured on small batches.

    Raises:
        RunError: Memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the step
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise RunError(_sentence(job, prepared)) from error


def _sentence(job: TrainJob, prepared: PreparedData) -> str:
    size = job.loader.batch_size
    try:
        found = measure(job, prepared, most=max(size // 2, 16), seconds=_SECONDS, factor=4)
    except (FoveaError, OSError):
        found = None
    begin, twice = f"out of memory with loader.batch_size={size}", 2 * job.trainer.accumulate_batches
    if found is None or len(found.steps) < 2:
        return f"{begin}; half of it with trainer.accumulate_batches={twice} is the same step"
    return f"{begin}: {advice(job, found)}"


def advice(job: TrainJob, found: Footprint) -> str:
    """What a step needs, what there is, and which batch would fit: the configured one, halved until it does."""
    size, room = job.loader.batch_size, PART * found.available
    needs = f"a step needs about {_words(found.line.needed(size))} and {_words(found.available)} are available"
    if found.line.needed(size) <= room:
        return f"{needs}, so something else took it; end other programs, or lower loader.num_workers or loader.cache"
    parts = 2
    while size // parts > 1 and found.line.needed(size // parts) > room:
        parts *= 2
    if found.line.needed(size // parts) > room:
        return f"{needs}, too few for any batch; take a smaller network or smaller pictures (data.image_size)"
    return f"{needs}; about {_smaller(job, parts)}"


def _smaller(job: TrainJob, parts: int) -> str:
    size, accumulated = job.loader.batch_size // parts, parts * job.trainer.accumulate_batches
    return f"loader.batch_size={size} fits, with trainer.accumulate_batches={accumulated} for the same step"


def _words(amount: float) -> str:
    return f"{amount / 1e9:,.1f} GB"
