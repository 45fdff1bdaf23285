"""The loss of a batch: of plain pictures, and of mixed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fovea.augment import Mix
from fovea.augment.mixing import apply, plan
from fovea.config.schema.data import MixConfig
from fovea.loading import Batch
from fovea.training import stage
from fovea.training.loss import Loss
from fovea.training.module import ClassifierModule, Tally
from fovea.training.schedules import Steps
from fovea.training.workfolder import let_go

BOTH = MixConfig(mixup_alpha=0.4, cutmix_alpha=1.0, prob=1.0, switch_prob=0.5)


class Spy(nn.Module):
    """A linear classifier that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(12, 5)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return self.linear(images.float().flatten(1) / 255)


def batch_of(count: int, mix: Mix | None = None) -> Batch:
    numbers = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 2, 2), dtype=torch.uint8, generator=numbers)
    return Batch(images, torch.arange(count) % 5, torch.arange(count), mix)


def mix_of(count: int) -> Mix:
    return plan(np.arange(count, dtype=np.uint64), seed=0, epoch=0, config=BOTH, image_size=2)


@pytest.fixture
def module(make_job: Callable[..., Any]) -> ClassifierModule:
    job = make_job()
    return ClassifierModule(Spy(), job.optimizer, job.schedule, Steps(per_epoch=1, total=1), loss=Loss(job.loss))


def test_plain_pictures_reach_the_network_as_they_are(module: ClassifierModule) -> None:
    batch = batch_of(7)
    loss = module.training_step(batch, 0)
    assert torch.equal(module.net.seen[0], batch.images)
    assert loss.item() == pytest.approx(functional.cross_entropy(module.net(batch.images), batch.labels).item())


def test_mixed_pictures_count_both_labels_by_their_shares(module: ClassifierModule) -> None:
    mix = mix_of(7)
    batch = batch_of(7, mix)
    loss = module.training_step(batch, 0)
    mixed = apply(batch.images, mix)
    assert torch.equal(module.net.seen[0], mixed)
    targets = mix.share[:, None] * functional.one_hot(batch.labels, 5)
    targets += (1 - mix.share[:, None]) * functional.one_hot(batch.labels[mix.partner], 5)
    assert loss.item() == pytest.approx(functional.cross_entropy(module.net(mixed), targets).item(), rel=1e-5)


def test_the_accuracy_of_mixed_pictures_is_that_of_their_own_labels(module: ClassifierModule) -> None:
    mix = mix_of(8)
    batch = batch_of(8, mix)
    module.training_step(batch, 0)
    said = module.net(apply(batch.images, mix)).argmax(1)
    assert module.train_tally.compute()["acc"] == pytest.approx(float((said == batch.labels).double().mean()))


def test_sums_keep_their_type_where_a_network_trains_in_16_bits() -> None:
    tally = Tally()
    nn.ModuleList([tally]).to(torch.bfloat16)
    logits = torch.eye(7).repeat(143, 1)
    tally.update(torch.tensor(0.1), logits, logits.argmax(1))
    tally.update(torch.tensor(0.1), -logits[:1], torch.zeros(1, dtype=torch.int64))
    assert tally.count.dtype == torch.float64
    assert tally.compute() == {"loss": pytest.approx(0.1), "acc": 1001 / 1002}


class Heads(NamedTuple):
    logits: Tensor
    first: Tensor | None
    second: Tensor


class WithHeads(Spy):
    """Returns two auxiliary heads in training, as GoogLeNet does; a third one is off."""

    def forward(self, images: Tensor) -> Any:
        logits = super().forward(images)
        return Heads(logits, None, 2 * logits) if self.training else logits


def test_an_auxiliary_head_adds_a_part_of_its_loss(make_job: Callable[..., Any]) -> None:
    job = make_job(loss={"label_smoothing": 0.1})
    module = ClassifierModule(WithHeads(), job.optimizer, job.schedule, Steps(1, 1), loss=Loss(job.loss))
    batch = batch_of(7)
    loss = module.training_step(batch, 0)
    module.eval()
    logits = module.logits(batch)
    own, head = (functional.cross_entropy(one, batch.labels, label_smoothing=0.1) for one in (logits, 2 * logits))
    assert loss.item() == pytest.approx((own + 0.3 * head).item())
    said = logits.argmax(1) == batch.labels
    assert module.train_tally.compute()["acc"] == pytest.approx(float(said.double().mean()))


def test_a_training_with_mixing_runs_and_differs(make_job: Any, squares: Any, tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    mix = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}
    losses = [
        stage.train(make_job(trainer={"max_epochs": 1}, augment={"mix": found}), squares).history()[0]["train/loss"]
        for found in ({}, mix, mix)
    ]
    let_go(remove=True)
    assert losses[0] != losses[1] == losses[2]
