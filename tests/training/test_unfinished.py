"""The sentence on a training that was stopped and differs in little from the one that starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.core.locks import exclusive
from fovea.training.checkpoint_sidecar import Sidecar
from fovea.training.job import TrainJob
from fovea.training.unfinished import nearest_unfinished
from fovea.training.workfolder import WorkFolder

MakeJob = Callable[..., TrainJob]


def stopped(root: Path, name: str, job: TrainJob, step: int | None = 40) -> WorkFolder:
    """A work folder whose training was stopped after a step; None: before it had a checkpoint."""
    work = WorkFolder(root / name)
    work.write_job(job, {"prepared": "x"})
    if step is not None:
        checkpoint = work.path / f"step-{step:08d}.ckpt"
        checkpoint.write_bytes(b"")
        Sidecar("", step, 4, "", 1, None, None).write(checkpoint)
    return work


def test_the_nearest_is_named_with_what_differs_and_how_to_go_on(make_job: MakeJob, tmp_path: Path) -> None:
    stopped(tmp_path, "farther", make_job(seed=7, optimizer={"lr": 0.1, "weight_decay": 0.5}))
    changes = {"trainer": {"threads": 2}, "callbacks": {"checkpoint": {"every_n_steps": 3}, "progress": "none"}}
    near = make_job(optimizer={"lr": 0.1}, schedule={"peak_at": 0.5}, **changes)
    stopped(tmp_path, "near", near)
    stopped(tmp_path, "no checkpoint", make_job(seed=7), step=None)
    stopped(tmp_path, "same", make_job())
    work = WorkFolder(tmp_path / "new")
    found = nearest_unfinished(work, make_job())
    assert found is not None
    assert found.sentence() == (
        "near, which was stopped in epoch 4 after step 40, is another training: optimizer.lr is 0.1 there and 0.003 "
        "here, schedule.peak_at is 0.5 there and 0.3 here; it stays as it is. To go on with it add to the command: "
        "optimizer.lr=0.1 schedule.peak_at=0.5 (and --fresh to start it over)"
    )


def test_a_file_of_another_training_that_is_no_text_is_passed_over(make_job: MakeJob, tmp_path: Path) -> None:
    stopped(tmp_path, "damaged", make_job(seed=7)).resolved.write_bytes(b"job: \xff")
    assert nearest_unfinished(WorkFolder(tmp_path / "new"), make_job()) is None


def test_another_group_is_named_as_it_is_chosen(make_job: MakeJob, tmp_path: Path) -> None:
    there = make_job(data={"mean": [0.2]}, loss={"name": "bce", "class_weights": "balanced"})
    stopped(tmp_path, "other", there)
    found = nearest_unfinished(WorkFolder(tmp_path / "new"), make_job())
    assert found is not None
    assert "data.mean is [0.2] there and [0.1] here" in found.sentence()
    assert "add to the command: loss=bce data.mean=[0.2] loss.class_weights=balanced (" in found.sentence()


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "lenet5"}},
        {"data": {"name": "mnist"}},
        {"seed": 1, "augment": {"mix": {"mixup_alpha": 0.1, "cutmix_alpha": 0.1, "prob": 0.1, "switch_prob": 0.1}},
         "optimizer": {"lr": 1.0}},
    ],
)  # fmt: skip
def test_one_that_is_not_like_it_is_not_named(changes: Any, make_job: MakeJob, tmp_path: Path) -> None:
    stopped(tmp_path, "other", make_job(**changes))
    assert nearest_unfinished(WorkFolder(tmp_path / "new"), make_job()) is None


def test_one_that_is_under_way_or_cannot_be_read_is_not_named(make_job: MakeJob, tmp_path: Path) -> None:
    stopped(tmp_path, "running", make_job(seed=1))
    (stopped(tmp_path, "damaged", make_job(seed=2)).path / "resolved.yaml").write_text("job: [1")
    with exclusive(tmp_path / ".running.lock", "training", "wait"):
        assert nearest_unfinished(WorkFolder(tmp_path / "new"), make_job()) is None
    assert nearest_unfinished(WorkFolder(tmp_path / "new"), make_job()) is not None
