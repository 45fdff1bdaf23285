"""A disk that fills while several processes train: all of them end, or go on, alike."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fovea.core.errors import RunError
from fovea.training import checkpoint_store
from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.ranks import Ranks


class Silent:
    """A tracking run that keeps nothing."""

    def log_metrics(self, *_: Any, **__: Any) -> None: ...

    def log_text(self, *_: Any) -> None: ...


def train(rank: int, world_size: int, job: TrainJob, prepared: Any, folder: Path) -> str:
    """How training ends where only the first checkpoint can be written."""
    torch.set_num_threads(1)
    plain = checkpoint_store._save

    def full(content: Any, path: Path) -> str:
        if content["global_step"] > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(content, path)

    checkpoint_store._save = full
    try:
        outcome = fit(job, prepared, folder, Silent(), Ranks(rank, rank, world_size, world_size))  # type: ignore[arg-type]
    except RunError as error:
        return str(error)
    return f"epoch {len(outcome.rows)}"


@pytest.mark.slow
@pytest.mark.ddp
@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_all_processes_do_the_same(
    on_error: str, ddp: Callable[..., list[str]], make_job: Callable[..., TrainJob], squares: Any, tmp_path: Path
) -> None:
    job = make_job(callbacks={"checkpoint": {"every_n_steps": 5, "on_error": on_error}}, trainer={"max_epochs": 1})
    first, second = ddp(2, train, job, squares, tmp_path)
    assert first == second
    if on_error == "stop":
        assert first.endswith(
            f"run the same command again; the checkpoint to go on from is {tmp_path}/step-00000005.ckpt"
        )
    else:
        assert first == "epoch 1"
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["step-00000005.ckpt"]
