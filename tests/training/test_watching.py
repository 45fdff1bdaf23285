from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.watching import Halted

MakeJob = Callable[..., TrainJob]


class _Run:
    """A run that keeps its tags."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def log_metrics(self, *_arguments: Any, **_options: Any) -> None:
        pass

    log_text = log_metrics

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags


def test_who_watches_sees_each_epoch_and_may_end_training(make_job: MakeJob, squares: Any, tmp_path: Path) -> None:
    seen: list[tuple[float, bool]] = []
    run = _Run()

    def watch(row: dict[str, float]) -> str | None:
        seen.append((row["epoch"], 0 <= row["val/acc"] <= 1))
        return "enough" if row["epoch"] == 2 else None

    with pytest.raises(Halted, match="enough"):
        fit(make_job(trainer={"max_epochs": 4}), squares, tmp_path, run, watch=watch)  # type: ignore[arg-type]
    assert seen == [(1, True), (2, True)]
    assert run.tags == {"halted": "enough"}
    again: list[float] = []
    done = fit(
        make_job(trainer={"max_epochs": 4}),
        squares,
        tmp_path,
        run,  # type: ignore[arg-type]
        watch=lambda row: again.append(row["epoch"]),
    )
    # What the checkpoint holds is shown first, so that who watches anew knows the whole course.
    assert again == [1, 2, 3, 4]
    assert [row["epoch"] for row in done.rows] == [1, 2, 3, 4]
