from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.training import stage
from fovea.training.job import TrainJob
from fovea.training.result import RECORD, TrainedModel
from fovea.training.workfolder import WorkFolder, forget, let_go


@pytest.fixture
def published(
    make_job: Callable[..., TrainJob], squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TrainedModel:
    """A model at its final place, whose work folder is still there."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    model = stage.train(make_job(trainer={"max_epochs": 1, "limit_batches": 1}), squares)
    (model.path / RECORD).write_text("one")
    model.publish(tmp_path / "model")
    let_go(remove=False)
    return TrainedModel.open(tmp_path / "model")


def test_what_is_published_needs_no_work_folder(published: TrainedModel) -> None:
    work = WorkFolder.of(published.facts["run_name"])
    assert work.is_finished
    forget(published)
    assert not work.path.exists()
    forget(published)


def test_another_training_of_the_same_configuration_stays(published: TrainedModel) -> None:
    work = WorkFolder.of(published.facts["run_name"])
    (work.result / RECORD).unlink()  # not written over: files are linked to their final place
    (work.result / RECORD).write_text("another")
    forget(published)
    assert work.is_finished


def test_a_training_under_way_stays(published: TrainedModel) -> None:
    work = WorkFolder.of(published.facts["run_name"])
    work.take()
    forget(published)
    assert work.is_finished
    let_go(remove=True)
    assert not work.path.exists()
