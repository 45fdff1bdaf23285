"""Averages of the weights: exact, validated, delivered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fovea.models import tensors
from fovea.training.averaging import Average, Averaging
from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.module import ClassifierModule

MakeJob = Callable[..., TrainJob]


def states(count: int) -> list[dict[str, torch.Tensor]]:
    numbers = torch.Generator().manual_seed(0)
    return [{"w": torch.randn(3, generator=numbers), "n": torch.tensor(step)} for step in range(count)]


def test_a_moving_average_keeps_more_and_more_of_itself() -> None:
    average = Average("ema", decay=0.5)
    seen = states(20)
    expected = seen[0]["w"].clone()
    for update, state in enumerate(seen):
        average.update(state)
        if update:
            kept = min(0.5, (1 + update) / (10 + update))
            expected = kept * expected + (1 - kept) * state["w"]
        torch.testing.assert_close(average.tensors["w"], expected)
    assert (1 + 7) / (10 + 7) < 0.5 <= (1 + 8) / (10 + 8)
    assert average.tensors["n"] == 19


def test_the_mean_of_the_weights_is_the_mean() -> None:
    average = Average("swa", decay=0.0)
    seen = states(7)
    for state in seen:
        average.update(state)
    torch.testing.assert_close(average.tensors["w"], torch.stack([state["w"] for state in seen]).mean(0))


def test_an_average_of_16_bit_weights_is_kept_in_32() -> None:
    average = Average("ema", decay=0.9999)
    for value in (1.0, 1.0078125):
        average.update({"w": torch.tensor([value], dtype=torch.bfloat16)})
    assert average.tensors["w"].dtype == torch.float32
    assert average.tensors["w"].item() == pytest.approx(1.0 + 0.0078125 * (1 - 2 / 11))


@pytest.fixture
def weights_of_steps(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """The weights after each step of the trainings to come."""
    seen: list[dict[str, torch.Tensor]] = []
    end = Averaging.on_train_batch_end

    def keep(self: Averaging, trainer: Any, module: ClassifierModule, *rest: Any) -> None:
        seen.append({name: tensor.clone() for name, tensor in module.net.state_dict().items()})
        end(self, trainer, module, *rest)

    monkeypatch.setattr(Averaging, "on_train_batch_end", keep)
    return seen


@pytest.mark.parametrize(("start", "first"), [(0.0, 0), (0.5, 12)])
def test_ema_delivers_the_average_of_the_steps_and_trains_on_with_the_weights(
    start: float,
    first: int,
    make_job: MakeJob,
    squares: Any,
    memory_run: Any,
    tmp_path: Path,
    weights_of_steps: list[dict[str, torch.Tensor]],
) -> None:
    averaging = {"kind": "ema", "decay": 0.9, "start": start}
    for name in ("ema", "plain"):
        (tmp_path / name).mkdir()
    outcome = fit(make_job(callbacks={"averaging": averaging}), squares, tmp_path / "ema", memory_run)
    assert len(weights_of_steps) == 24
    average = Average("ema", 0.9)
    for state in weights_of_steps[first:]:
        average.update(state)
    delivered = outcome.network.state_dict()
    assert all(torch.equal(delivered[name], average.tensors[name]) for name in delivered)
    plain = fit(make_job(), squares, tmp_path / "plain", memory_run).network.state_dict()
    assert all(torch.equal(plain[name], weights_of_steps[-1][name]) for name in plain)
    for folder, states in (("ema", delivered), ("plain", plain)):
        read = tensors.read(max((tmp_path / folder).glob("step-*.ckpt")))
        found = tensors.without_prefix(read, set(states))
        assert found.keys() == states.keys()
        assert all(torch.equal(found[name], states[name]) for name in states)


def test_the_metrics_are_those_of_the_averaged_weights(
    make_job: MakeJob, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    job = make_job(callbacks={"averaging": {"kind": "ema", "decay": 0.9}}, trainer={"max_epochs": 3})
    outcome = fit(job, squares, tmp_path, memory_run)
    val = squares.split("val")
    pictures, labels = torch.from_numpy(val.images()).permute(0, 3, 1, 2), torch.from_numpy(val.labels)
    outcome.network.eval()
    with torch.inference_mode():
        loss = nn.functional.cross_entropy(outcome.network(pictures), labels).item()
        assert outcome.rows[-1]["val/loss"] == pytest.approx(loss, rel=1e-4)
        assert outcome.best_path is not None
        outcome.network.load_state_dict(load_file(outcome.best_path))
        best = nn.functional.cross_entropy(outcome.network(pictures), labels).item()
    assert outcome.best is not None
    assert outcome.best["val/loss"] == pytest.approx(best, rel=1e-4)


def test_swa_means_the_last_epochs_and_counts_the_statistics_of_norms_anew(
    make_job: MakeJob,
    squares: Any,
    memory_run: Any,
    tmp_path: Path,
    weights_of_steps: list[dict[str, torch.Tensor]],
) -> None:
    averaging = {"kind": "swa", "start": 0.5}
    job = make_job(callbacks={"averaging": averaging}, trainer={"max_epochs": 4}, model={"name": "fast_mnist"})
    outcome = fit(job, squares, tmp_path, memory_run)
    ends = [weights_of_steps[12 * epoch - 1] for epoch in (3, 4)]
    delivered = outcome.network.state_dict()
    parameters = dict(outcome.network.named_parameters())
    for name, tensor in parameters.items():
        torch.testing.assert_close(tensor.detach(), (ends[0][name] + ends[1][name]) / 2)
    statistics = [name for name in delivered if name.endswith("running_mean")]
    assert statistics
    assert any(not torch.allclose(delivered[name], (ends[0][name] + ends[1][name]) / 2) for name in statistics)
    counted = next(name for name in delivered if name.endswith("num_batches_tracked"))
    assert delivered[counted] == 12
