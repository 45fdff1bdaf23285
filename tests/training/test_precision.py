"""Number formats, compiled networks, clipped gradients: what they change and what they must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fovea.training.compiling import compiled
from fovea.training.fit import Fit, fit
from fovea.training.job import TrainJob
from fovea.training.module import ClassifierModule

MakeJob = Callable[..., TrainJob]


@pytest.fixture
def train(make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path) -> Callable[..., Fit]:
    """Trains a job with changes, in a folder of its own."""
    folders = iter(range(100))

    def one(**changes: Any) -> Fit:
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        return fit(make_job(**changes), squares, folder, memory_run)

    return one


@pytest.mark.parametrize("precision", ["64", "bf16", "bf16-true"])
def test_a_precision_comes_near_32_and_delivers_float32(precision: str, train: Callable[..., Fit]) -> None:
    plain, other = train(), train(trainer={"precision": precision})
    assert {tensor.dtype for tensor in other.network.state_dict().values()} <= {torch.float32, torch.int64}
    losses = [row["train/loss"] for row in plain.rows]
    found = [row["train/loss"] for row in other.rows]
    assert found != losses
    assert found == pytest.approx(losses, abs=1e-4 if precision == "64" else 0.1)
    assert other.rows[-1]["val/acc"] > 0.9


def test_an_average_of_short_numbers_is_delivered_in_full(train: Callable[..., Fit]) -> None:
    outcome = train(trainer={"precision": "bf16-true"}, callbacks={"averaging": {"kind": "ema", "decay": 0.9}})
    weight = next(outcome.network.parameters()).detach()
    assert not torch.equal(weight, weight.bfloat16().float())


@pytest.mark.slow
def test_a_compiled_training_delivers_the_plain_network(
    train: Callable[..., Fit], squares: Any, make_job: MakeJob
) -> None:
    plain = train(trainer={"max_epochs": 1}, model={"dropout": 0.0})
    outcome = train(trainer={"max_epochs": 1, "compile": True}, model={"dropout": 0.0})
    assert outcome.network.state_dict().keys() == plain.network.state_dict().keys()
    assert outcome.network._compiled_call_impl is None
    assert outcome.rows[0]["train/loss"] == pytest.approx(plain.rows[0]["train/loss"], rel=1e-3)
    plain.network.load_state_dict(outcome.network.state_dict())
    pictures = torch.from_numpy(squares.split("val").images()).permute(0, 3, 1, 2)
    plain.network.eval()
    outcome.network.eval()
    with torch.inference_mode():
        eager = plain.network(pictures)
        with compiled(outcome.network, wanted=True):
            torch.testing.assert_close(outcome.network(pictures), eager, rtol=1e-4, atol=1e-4)


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The gradient of every step of the trainings to come, as one vector."""
    seen: list[torch.Tensor] = []

    def keep(self: ClassifierModule, *_: Any) -> None:
        seen.append(torch.cat([p.grad.flatten() for p in self.net.parameters() if p.grad is not None]))

    monkeypatch.setattr(ClassifierModule, "on_train_batch_end", keep)
    return seen


def test_gradients_are_clipped_to_a_norm(train: Callable[..., Fit], gradients: list[torch.Tensor]) -> None:
    train(trainer={"gradient_clip_norm": 0.1, "max_epochs": 1})
    norms = [gradient.norm().item() for gradient in gradients]
    assert len(norms) == 12
    assert max(norms) == pytest.approx(0.1, rel=1e-3)


def test_gradients_are_clipped_to_a_value(train: Callable[..., Fit], gradients: list[torch.Tensor]) -> None:
    train(trainer={"gradient_clip_value": 0.001, "max_epochs": 1})
    values = [gradient.abs().max().item() for gradient in gradients]
    assert len(values) == 12
    assert max(values) == pytest.approx(0.001)


def test_the_batches_left_over_make_a_step_with_a_rate_of_its_own(train: Callable[..., Fit]) -> None:
    outcome = train(trainer={"accumulate_batches": 5, "max_epochs": 2})
    assert [row["step"] for row in outcome.rows] == [3, 6]
    assert outcome.rows[-1]["lr"] == pytest.approx(0.003 * 0.001)
