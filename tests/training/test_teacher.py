"""A network that learns from another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fovea.core.errors import UserError
from fovea.training import stage, teacher
from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.module import ClassifierModule
from fovea.training.workfolder import let_go

MakeJob = Callable[..., TrainJob]


@pytest.fixture
def trained(make_job: MakeJob, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The folder of a teacher."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    stage.train(make_job(trainer={"max_epochs": 2}), squares).publish(tmp_path / "teacher")
    yield tmp_path / "teacher"
    let_go(remove=True)


def test_a_student_learns_from_its_teacher_and_keeps_its_own_weights_alone(
    trained: Path, make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[torch.Tensor] = []
    step = ClassifierModule.training_step

    def keep(self: ClassifierModule, batch: Any, index: int) -> torch.Tensor:
        assert self._teacher is not None
        pictures = self._pictures(batch)
        taught.append(self._teacher(pictures))
        self.net(pictures)
        return step(self, batch, index)

    monkeypatch.setattr(ClassifierModule, "training_step", keep)
    distill = {"teacher": "teacher", "temperature": 2.0, "weight": 1.0}
    job = make_job(model={"name": "fast_mnist"}, loss={"distill": distill}, trainer={"max_epochs": 6})
    outcome = fit(job, squares, tmp_path, memory_run)
    assert outcome.rows[-1]["val/acc"] > 0.9  # though it has not seen a label
    assert not any(logits.requires_grad for logits in taught)
    state = torch.load(max(tmp_path.glob("*.ckpt")), weights_only=True)
    own = {f"net.{name}" for name in outcome.network.state_dict()}
    assert {name for name in state["state_dict"] if "tally" not in name} == own


def test_the_teacher_s_weights_and_not_its_place_decide_the_digest(
    trained: Path, make_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    def digest(name: str) -> str:
        return make_job(loss={"distill": {"teacher": name}}).digest("x")

    trained.rename(tmp_path / "elsewhere")
    here = digest("elsewhere")
    (tmp_path / "elsewhere").rename(tmp_path / "there")
    assert digest("there") == digest(str(tmp_path / "there")) == here != make_job().digest("x")
    weights = tmp_path / "there" / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()  # a published file shares its inode with the work folder's
    weights.write_bytes(content[:-4] + b"\0\0\0\0")
    assert digest("there") != here


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"classes": ["a", "b"]},
            r"was trained with data\.classes=\[0, 1, 2, \.\.\.\] \(10\), but here it is \['a', 'b'\]",
        ),
        ({"image_size": 24}, r"was trained with data\.image_size=12, but here it is 24; choose a teacher for the same"),
    ],
)
def test_a_teacher_of_other_classes_or_pictures_is_refused(
    changes: dict[str, Any], words: str, trained: Path, make_job: MakeJob
) -> None:
    with pytest.raises(UserError, match=rf"loss\.distill\.teacher 'teacher' {words}"):
        teacher.find("teacher", make_job(data=changes).data)


def test_a_teacher_without_weights_is_refused(trained: Path, make_job: MakeJob) -> None:
    (trained / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"loss\.distill\.teacher: .*model\.safetensors cannot be read"):
        make_job(loss={"distill": {"teacher": "teacher"}}).digest("x")
