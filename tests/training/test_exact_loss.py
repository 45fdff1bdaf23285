"""The gradients of several ranks are those of one process that has the whole batch, for every loss there is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fovea.augment.mixing import plan
from fovea.config.schema.data import MixConfig
from fovea.loading import Batch
from fovea.loading.order import Draws, Fixed
from fovea.loading.sampler import EpochBatches, Share
from fovea.training.job import TrainJob
from fovea.training.loss import Loss
from fovea.training.module import ClassifierModule
from fovea.training.schedules import Steps
from fovea.training.teacher import Teacher

CLASSES, SIDE = 5, 4
WEIGHTS = [0.5, 2.0, 1.0, 3.0, 0.25]
BOTH = MixConfig(mixup_alpha=0.4, cutmix_alpha=1.0, prob=1.0, switch_prob=0.5)


class Case(NamedTuple):
    """A loss, and how many pictures there are for batches of 8."""

    name: str
    smoothing: float
    weighted: bool
    mixed: bool
    taught: bool
    heads: bool
    count: int


CASES = [Case(*case) for case in itertools.product(["cross_entropy", "bce"], [0.0, 0.1], *[[False, True]] * 4, [8, 7])]


class Heads(NamedTuple):
    logits: Tensor
    first: Tensor


class Net(nn.Module):
    """A linear classifier of doubles, with an auxiliary head if it is to have one."""

    def __init__(self, seed: int, heads: bool = False) -> None:
        super().__init__()
        numbers = torch.Generator().manual_seed(seed)
        self.own, self.first = (
            nn.Parameter(torch.randn(SIDE**2, CLASSES, generator=numbers, dtype=torch.float64) / SIDE) for _ in range(2)
        )
        self.heads = heads

    def forward(self, images: Tensor) -> Any:
        pixels = images.double().flatten(1) / 255
        logits = pixels @ self.own
        return Heads(logits, pixels @ self.first) if self.heads else logits


class Step(nn.Module):
    """A step of training as the forward pass of a network, which is what DDP wraps."""

    def __init__(self, module: ClassifierModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Batch) -> Tensor:
        return self.module.training_step(batch, 0)


def batches_of(case: Case, rank: int, world_size: int) -> EpochBatches:
    order = Fixed(Draws(np.random.default_rng(1).permutation(case.count)))
    together = 2 if case.mixed else 1
    return EpochBatches(order, case.count, 8, rank=rank, world_size=world_size, together=together)


def batch_of(case: Case, batches: EpochBatches) -> Batch:
    (key,) = batches
    numbers = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (case.count, 1, SIDE, SIDE), dtype=torch.uint8, generator=numbers)
    labels = torch.arange(case.count)[key.rows] % CLASSES
    mix = plan(key.rows.astype(np.uint64), seed=0, epoch=0, config=BOTH, image_size=SIDE) if case.mixed else None
    return Batch(images[key.rows], labels, torch.from_numpy(key.rows), mix)


def module_of(case: Case, job: TrainJob, share: Share) -> ClassifierModule:
    distill = job.loss.distill.model_copy(update={"weight": 0.7 if case.taught else 0.0})
    changes = {"name": case.name, "label_smoothing": case.smoothing, "distill": distill}
    loss = Loss(job.loss.model_copy(update=changes), WEIGHTS if case.weighted else None, share)
    teacher = Teacher(Net(5)) if case.taught else None
    return ClassifierModule(Net(3, case.heads), job.optimizer, job.schedule, Steps(1, 1), loss=loss, teacher=teacher)


def gradients(case: Case, job: TrainJob, rank: int, world_size: int) -> tuple[list[np.ndarray], dict[str, float]]:
    """Of a step of this rank, and the sums of its tally."""
    batches = batches_of(case, rank, world_size)
    module = module_of(case, job, batches.share)
    step = Step(module)
    wrapped = step if world_size == 1 else DistributedDataParallel(step, find_unused_parameters=True)
    wrapped(batch_of(case, batches)).backward()
    found = [parameter.grad.numpy() for parameter in module.net.parameters() if parameter.grad is not None]
    tally = module.train_tally
    return found, {"loss": float(tally.loss_sum), "count": float(tally.count)}


def all_gradients(rank: int, world_size: int, job: TrainJob) -> list[Any]:
    return [gradients(case, job, rank, world_size) for case in CASES]


def calls_of_all_reduce(rank: int, world_size: int, job: TrainJob) -> dict[Case, int]:
    """How often the loss of a batch asks the other ranks."""
    calls: list[int] = []
    real = distributed.all_reduce

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return real(*arguments, **options)

    distributed.all_reduce = counted
    result = {}
    for case in CASES:
        batches = batches_of(case, rank, world_size)
        module_of(case, job, batches.share).training_step(batch_of(case, batches), 0)
        result[case], calls[:] = len(calls), []
    return result


def everything(rank: int, world_size: int, job: TrainJob) -> tuple[list[Any], dict[Case, int]]:
    return all_gradients(rank, world_size, job), calls_of_all_reduce(rank, world_size, job)


def cases(ranks: list[Any]) -> Iterator[tuple[Case, list[Any]]]:
    return zip(CASES, zip(*ranks, strict=True), strict=True)  # type: ignore[arg-type]


@pytest.mark.ddp
@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 3])
def test_the_gradients_of_ranks_are_those_of_one_process(
    world_size: int, ddp: Callable[..., list[Any]], make_job: Callable[..., TrainJob]
) -> None:
    job = make_job()
    alone = [gradients(case, job, 0, 1) for case in CASES]
    answers = ddp(world_size, everything, job)
    for (case, ranks), (wanted, sums) in zip(cases([one for one, _ in answers]), alone, strict=True):
        assert len(wanted) == 1 + case.heads
        for found, _ in ranks:
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9, err_msg=str(case))
        assert sum(tally["count"] for _, tally in ranks) == sums["count"] == case.count
        assert sum(tally["loss"] for _, tally in ranks) == pytest.approx(sums["loss"], rel=1e-6)
    for case, calls in answers[0][1].items():
        assert calls == (1 + case.heads if case.weighted else 0), case


def test_a_rank_that_has_less_counts_less() -> None:
    shares = [batches_of(CASES[1], rank, 2).share for rank in range(2)]
    assert shares == [Share(3, 7, 2, 0), Share(4, 7, 2, 3)]
    assert [share.weight for share in shares] == pytest.approx([6 / 7, 8 / 7])
    assert batches_of(CASES[0], 1, 2).share.weight == 1.0
    assert Share().weight == 1.0
