"""A training gives the same in one process as in several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fovea.training import compression, stage
from fovea.training.fit import fit
from fovea.training.job import TrainJob
from fovea.training.randomness import StepRandomness
from fovea.training.ranks import Ranks
from fovea.training.result import TrainedModel
from fovea.training.workfolder import let_go

MakeJob = Callable[..., TrainJob]
Ddp = Callable[..., list[Any]]
PLAIN = {"name": "deep_mnist", "dropout": 0.3}
NORMS = {"name": "fast_mnist", "dropout": 0.2}
STEPS = 200 // 16

# In 64 bits: rounding grows from step to step, and 32 bits would hide small mistakes among it.
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything of the loss": {
        "loss": {"name": "bce", "label_smoothing": 0.1, "class_weights": [float(c + 1) for c in range(10)]},
        "augment": {"mix": {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}},
        "trainer": {"accumulate_batches": 5, "gradient_clip_norm": 1.0},
    },
    "balanced draws, few pictures": {
        "loader": {"sampling": "balanced", "batch_size": 240},
        "augment": {"mix": {"mixup_alpha": 0.2}},
    },
    "moving average": {"callbacks": {"averaging": {"kind": "ema", "decay": 0.9, "start": 0.0}}},
    "synchronised norms": {"model": NORMS, "trainer": {"sync_batch_norm": True}},
    "synchronised norms, mean of weights": {
        "model": NORMS,
        "trainer": {"sync_batch_norm": True},
        "callbacks": {"averaging": {"kind": "swa", "start": 0.0}},
    },
}


class Many:
    """The same pictures with 1,001 to validate."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.path, self.address, self.meta = inner.path, inner.address, inner.meta

    @property
    def origin(self) -> Any:
        return self

    def split(self, name: str) -> Any:
        split = self.inner.split(name)
        return type(split)(1001, 2) if name == "val" else split


class Silent:
    """A tracking run that keeps nothing."""

    def log_metrics(self, *_: Any, **__: Any) -> None: ...

    def log_text(self, *_: Any) -> None: ...


def trained(job: TrainJob, prepared: Any, folder: Path, ranks: Ranks) -> dict[str, Any]:
    """The weights and the history of a training."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    outcome = fit(job, prepared, folder, Silent(), ranks)  # type: ignore[arg-type]
    tensors = {name: tensor.double().numpy() for name, tensor in outcome.network.state_dict().items()}
    return {"weights": tensors, "rows": outcome.rows, "best": outcome.best}


def train_all(
    rank: int, world_size: int, jobs: Mapping[str, TrainJob], prepared: Any, folder: Path
) -> dict[str, dict[str, Any]]:
    ranks = Ranks(rank, rank, world_size, world_size)
    return {name: trained(job, prepared, folder / f"{world_size}" / name, ranks) for name, job in jobs.items()}


class CrashError(Exception):
    """Stands in for the loss of the processes."""


def crash(rank: int, world_size: int, job: TrainJob, prepared: Any, folder: Path, step: int) -> None:
    """Trains until a step."""

    def act_first(self: StepRandomness, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == step:
            raise CrashError
        seed_step(self, trainer, *rest)

    seed_step = StepRandomness.on_train_batch_start
    StepRandomness.on_train_batch_start = act_first  # type: ignore[method-assign]
    try:
        with pytest.raises(CrashError):
            trained(job, prepared, folder, Ranks(rank, rank, world_size, world_size))
    finally:
        StepRandomness.on_train_batch_start = seed_step  # type: ignore[method-assign]


def go_on(rank: int, world_size: int, job: TrainJob, prepared: Any, folder: Path) -> dict[str, Any]:
    return trained(job, prepared, folder, Ranks(rank, rank, world_size, world_size))


def train_in_16_bits(
    rank: int, world_size: int, jobs: Mapping[str, TrainJob], prepared: Any, folder: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """What came of each training, and how often its gradients travelled, where they do so in 16 bits."""
    sent: dict[str, int] = {}
    answers = {}
    hooks = dict(compression._HOOKS)
    for name, job in jobs.items():
        sent[name] = 0

        def counted(state, bucket, name=name, job=job):  # type: ignore[no-untyped-def]  # torch reads annotations
            sent[name] += 1
            return hooks[job.trainer.gradient_compression](state, bucket)

        compression._HOOKS.update(bf16=counted, fp16=counted)
        answers |= train_all(rank, world_size, {name: job}, prepared, folder)
    return answers, sent


def check_same(one: dict[str, Any], other: dict[str, Any], name: str, *, tolerance: float = 2e-7) -> None:
    """Weights are delivered in 32 bits, and validation compares those."""
    for key, tensor in other["weights"].items():
        scale = max(float(np.abs(tensor).max()), 1e-2)
        np.testing.assert_allclose(one["weights"][key], tensor, rtol=0, atol=tolerance * scale, err_msg=f"{name} {key}")
    for row, wanted in zip(one["rows"], other["rows"], strict=True):
        assert row == pytest.approx(wanted, rel=10 * tolerance), name
        assert (row["val/acc"], row["train/acc"]) == (wanted["val/acc"], wanted["train/acc"]), name


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    yield
    let_go(remove=True)


@pytest.fixture
def sgd_job(make_job: MakeJob) -> MakeJob:
    """Makes a job of gradient descent in 64 bits; `lr` is its rate."""

    def make(lr: float = 0.02, **changes: Any) -> TrainJob:
        trainer = {"precision": "64", **changes.pop("trainer", {})}
        job = make_job(**{"model": PLAIN, "trainer": trainer, **changes})
        rate = {"lr": lr, "lr_scaling": "none", "lr_base_batch": 256}
        sgd = {"name": "sgd", **rate, "weight_decay": 1e-3, "momentum": 0.9, "nesterov": True}
        return TrainJob.parse({**job.plain(), "optimizer": sgd})

    return make


@pytest.mark.ddp
@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 4])
def test_several_processes_train_as_one(
    world_size: int, ddp: Ddp, sgd_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    jobs = {name: sgd_job(**changes) for name, changes in RECIPES.items()}
    alone = train_all(0, 1, jobs, squares, tmp_path)
    ranks = ddp(world_size, train_all, jobs, squares, tmp_path, timeout=280.0)
    for name in jobs:
        for rank in ranks:
            check_same(rank[name], alone[name], name)
            assert rank[name]["rows"] == ranks[0][name]["rows"]
            assert rank[name]["best"] == ranks[0][name]["best"]


@pytest.mark.ddp
@pytest.mark.slow
def test_the_accuracy_of_1001_pictures_does_not_depend_on_the_processes(
    ddp: Ddp, sgd_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    jobs = {"plain": sgd_job(0.0003, loader={"batch_size": 12, "eval_batch_size": 64}, trainer={"max_epochs": 1})}
    many = Many(squares)
    (alone,) = train_all(0, 1, jobs, many, tmp_path)["plain"]["rows"]
    assert 0.05 < alone["val/acc"] < 1.0
    assert round(alone["val/acc"] * 1001) / 1001 == alone["val/acc"]
    for world_size in (2, 3):
        for answer in ddp(world_size, train_all, jobs, many, tmp_path):
            (row,) = answer["plain"]["rows"]
            assert row["val/acc"] == alone["val/acc"]
            assert row["val/loss"] == pytest.approx(alone["val/loss"], rel=1e-5)


@pytest.mark.ddp
@pytest.mark.slow
def test_fewer_bits_round_and_no_more(ddp: Ddp, sgd_job: MakeJob, squares: Any, tmp_path: Path) -> None:
    """bf16 keeps 8 digits of a number, fp16 11; a step of several batches sends its gradients once."""
    trainers: dict[str, dict[str, Any]] = {
        "bf16 gradients": {"gradient_compression": "bf16", "accumulate_batches": 5},
        "fp16 gradients": {"gradient_compression": "fp16"},
        "32": {"precision": "32"},
        "bf16": {"precision": "bf16", "limit_batches": 3},
        "bf16-true": {"precision": "bf16-true", "limit_batches": 3},
    }
    jobs = {name: sgd_job(trainer={"max_epochs": 1, **trainer}) for name, trainer in trainers.items()}
    alone = train_all(0, 1, jobs, squares, tmp_path)
    ranks = ddp(2, train_in_16_bits, jobs, squares, tmp_path, timeout=200.0)
    tolerances = {"bf16 gradients": 4e-3, "fp16 gradients": 1e-3, "32": 1e-5, "bf16": 2e-2, "bf16-true": 4e-2}
    for (answers, sent), name in [(rank, name) for rank in ranks for name in jobs]:
        (row,), (wanted,) = answers[name]["rows"], alone[name]["rows"]
        assert row["train/loss"] == pytest.approx(wanted["train/loss"], rel=tolerances[name]), name
        assert row["train/loss"] != wanted["train/loss"], name
        assert row == ranks[0][0][name]["rows"][0]
        for key, tensor in answers[name]["weights"].items():
            assert np.array_equal(tensor, ranks[0][0][name]["weights"][key]), (name, key)
        assert sent == {"bf16 gradients": 3, "fp16 gradients": STEPS, "32": 0, "bf16": 0, "bf16-true": 0}


@pytest.mark.ddp
@pytest.mark.slow
def test_several_processes_fine_tune_as_one(ddp: Ddp, sgd_job: MakeJob, squares: Any, tmp_path: Path) -> None:
    """Also what joins later, what stays frozen, and a head on features that were computed once."""
    first = stage.train(sgd_job(model=NORMS, trainer={"max_epochs": 1}), squares)
    first.publish(tmp_path / "source")
    let_go(remove=True)
    model = {**NORMS, "weights": str(tmp_path / "source")}
    norms = {"sync_batch_norm": True}
    tuned = {
        "gradual": sgd_job(model=model, finetune={"mode": "gradual"}, trainer={"max_epochs": 4, **norms}),
        "gradual, together": sgd_job(
            model=model,
            finetune={"mode": "gradual"},
            trainer={"max_epochs": 3, "accumulate_batches": 5, **norms},
        ),
        "discriminative": sgd_job(model=model, finetune={"mode": "discriminative", "layer_decay": 0.5}, trainer=norms),
        "frozen": sgd_job(model=model, finetune={"mode": "head", "cache_features": False}, trainer=norms),
        "features": sgd_job(
            model=model, finetune={"mode": "head", "cache_features": True}, loss={"class_weights": "balanced"}
        ),
        "teacher": sgd_job(loss={"distill": {"teacher": str(tmp_path / "source"), "weight": 0.5}}),
    }
    jobs = {name: job.with_weights() for name, job in tuned.items()}
    alone = train_all(0, 1, jobs, squares, tmp_path)
    ranks = ddp(2, train_all, jobs, squares, tmp_path, timeout=280.0)
    for name in jobs:
        for rank in ranks:
            check_same(rank[name], alone[name], name)
    before = {
        name: tensor.numpy() for name, tensor in TrainedModel.open(tmp_path / "source").network().state_dict().items()
    }
    body = [name for name in before if name.startswith("net.") and "classifier" not in name]
    assert body
    gradual, frozen = ranks[1]["gradual"]["weights"], ranks[1]["frozen"]["weights"]
    assert not any(np.array_equal(before[name], gradual[name]) for name in body)
    changed = [name for name in before if not np.array_equal(before[name], frozen[name])]
    assert len(changed) == 2


@pytest.mark.ddp
@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (4, 2)])
def test_a_training_goes_on_in_another_number_of_processes(
    before: int, after: int, ddp: Ddp, sgd_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    """In the middle of its second epoch, with sums and an average to take up."""
    averaging = {"kind": "ema", "decay": 0.9, "start": 0.0}
    checkpoint = {"every_n_steps": 3}
    job = sgd_job(
        model=NORMS, trainer={"sync_batch_norm": True}, callbacks={"averaging": averaging, "checkpoint": checkpoint}
    )
    whole = trained(job, squares, tmp_path / "whole", Ranks())
    folder = tmp_path / "stopped"

    def run(processes: int, function: Callable[..., Any], *more: Any) -> list[Any]:
        if processes == 1:
            return [function(0, 1, job, squares, folder, *more)]
        return ddp(processes, function, job, squares, folder, *more)

    run(before, crash, STEPS + 7)
    for rank in run(after, go_on):
        check_same(rank, whole, f"{before} and {after} processes")
