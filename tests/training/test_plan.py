"""What is told before the first epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from fovea.training.assembly import assemble
from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.plan import group_rows, plan, table

MakeJob = Callable[..., TrainJob]


def test_the_plan_is_logged_and_kept(
    make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(
        trainer={"max_epochs": 2, "gradient_clip_norm": 1.0, "max_minutes": 90.0},
        loss={"label_smoothing": 0.1, "class_weights": "balanced"},
        callbacks={"averaging": {"kind": "ema", "decay": 0.99}, "early_stopping": {"patience": 3}},
        augment={"mix": {"mixup_alpha": 0.2}},
        optimizer={"weight_decay": 0.01},
    )
    with caplog.at_level(logging.INFO, "fovea"):
        fit(job, squares, tmp_path, memory_run)
    lines = memory_run.texts["config/plan.txt"].splitlines()
    assert lines == [
        "adam; one_cycle, lr 0.0003 -> 0.003 -> 3e-06; 12 steps an epoch, 2 epochs",
        "cross_entropy, label smoothing 0.1, balanced classes, MixUp; ema 0.99 of the weights; "
        "stops after 3 epochs without better val/loss; precision 32; gradients clipped to norm 1; at most 90 minutes",
        "group             tensors  parameters     lr  weight_decay  trains",
        "weights                 8      84,868  0.003          0.01  yes",
        "biases and norms        8         284  0.003             0  yes",
    ]
    assert [record.getMessage() for record in caplog.records if record.getMessage().startswith("plan: ")] == [
        f"plan: {line}" for line in lines
    ]


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ("linear", "one_cycle, lr 0.001 -> 0.0098 -> 1e-05 (of 0.005 x 32 / 16)"),
        ("sqrt", "one_cycle, lr 0.00071 -> 0.0069 -> 7.1e-06 (of 0.005 x sqrt(32 / 16))"),
    ],
)
def test_a_scaled_rate_is_told_with_where_it_comes_from(
    make_job: MakeJob, squares: Any, scaling: str, words: str
) -> None:
    optimizer = {"lr": 0.005, "lr_scaling": scaling, "lr_base_batch": 16}
    job = make_job(optimizer=optimizer, trainer={"accumulate_batches": 2})
    parts = assemble(job, squares)
    lines = plan(job, parts.module, parts.steps)
    assert lines[0] == f"adam; {words}; 6 steps an epoch, 2 epochs"
    assert [line.split()[-3] for line in lines[3:]] == ([f"{job.lr:.3g}"] * 2)


def test_groups_with_rates_of_their_own_and_frozen_parameters() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2))
    groups = [
        {"name": "head", "params": [net[2].weight], "weight_decay": 0.1},
        {"name": "body", "params": list(net[1].parameters()), "lr": 1e-4, "weight_decay": 0.0, "from_epoch": 3},
    ]
    assert list(group_rows(groups, net, 0.02)) == [
        ("head", "1", "4", "0.02", "0.1", "yes"),
        ("body", "2", "8", "0.0001", "0", "from epoch 3"),
        ("frozen", "3", "17", "-", "-", "no"),
    ]
    assert table(iter([("a", "1", "2", "3", "4", "yes")])) == [
        "group  tensors  parameters  lr  weight_decay  trains",
        "a            1           2   3             4  yes",
    ]
