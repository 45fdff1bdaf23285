"""Fine-tuning on small made-up data: what is frozen stays, what joins trains, and a stop changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fovea.core.errors import UserError
from fovea.core.places import CACHE
from fovea.training import assembly, finetune, stage
from fovea.training.assembly import assemble
from fovea.training.fit import Fit, fit
from fovea.training.job import TrainJob
from fovea.training.network import build_network
from fovea.training.randomness import StepRandomness
from fovea.training.result import TrainedModel
from fovea.training.watching import Halted
from fovea.training.workfolder import let_go

MakeJob = Callable[..., TrainJob]
# A network with batch norm, so that its statistics are watched too.
NET = {"name": "fast_mnist", "dropout": 0.2}


class CrashError(Exception):
    """Stands in for the loss of the process."""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    yield
    let_go(remove=True)


@pytest.fixture
def source(make_job: MakeJob, squares: Any, tmp_path: Path) -> Path:
    """The folder of a model trained on the squares for an epoch."""
    model = stage.train(make_job(model=NET, trainer={"max_epochs": 1}), squares)
    model.publish(tmp_path / "source")
    let_go(remove=True)
    return tmp_path / "source"


@pytest.fixture
def tuning(make_job: MakeJob, source: Path) -> MakeJob:
    """Makes a job that begins with that model: `tuning("head", trainer={"max_epochs": 3})`."""

    def make(mode: str, **changes: Any) -> TrainJob:
        section = {"mode": mode, "cache_features": False} | changes.pop("finetune", {})
        return make_job(model={**NET, "weights": str(source)}, finetune=section, **changes).with_weights()

    return make


def tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def first_tensors(source: Path) -> dict[str, torch.Tensor]:
    return tensors(TrainedModel.open(source).network())


def changed(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> set[str]:
    assert a.keys() == b.keys()
    return {name for name in a if not torch.equal(a[name], b[name])}


def same(a: Fit, b: Fit) -> bool:
    return not changed(tensors(a.network), tensors(b.network)) and a.rows == b.rows and a.best == b.best


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    seed_step = StepRandomness.on_train_batch_start

    def crash_first(self: StepRandomness, trainer: Any, *rest: Any) -> None:
        if trainer.global_step == step:
            raise CrashError
        seed_step(self, trainer, *rest)

    monkeypatch.setattr(StepRandomness, "on_train_batch_start", crash_first)


@pytest.mark.parametrize("cached", [False, True])
def test_a_frozen_backbone_is_the_same_bit_for_bit_after_training(
    cached: bool, tuning: MakeJob, source: Path, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    job = tuning("head", optimizer={"weight_decay": 0.1}, finetune={"cache_features": cached})
    trained = fit(job, squares, tmp_path, memory_run)
    assert changed(first_tensors(source), tensors(trained.network)) == {
        "net.classifier.2.weight",
        "net.classifier.2.bias",
    }
    assert all(parameter.requires_grad for parameter in trained.network.parameters())


def test_gradual_leaves_a_block_and_its_norms_alone_until_it_joins(
    tuning: MakeJob, source: Path, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    job = tuning("gradual", trainer={"max_epochs": 2}, optimizer={"weight_decay": 0.1})
    trained = fit(job, squares, tmp_path, memory_run)
    moved = changed(first_tensors(source), tensors(trained.network))
    # Blocks: stem (features.0 to 6), features.7 with its norm, head; the second epoch has the last two.
    assert {name.rpartition(".")[0] for name in moved} == {"net.features.7", "net.features.9", "net.classifier.2"}


@pytest.mark.parametrize("mode", ["discriminative", "full"])
def test_without_freezing_everything_moves(
    mode: str, tuning: MakeJob, source: Path, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    trained = fit(tuning(mode, trainer={"max_epochs": 1}), squares, tmp_path, memory_run)
    moved = changed(first_tensors(source), tensors(trained.network))
    assert {name for name, _ in trained.network.named_parameters()} <= moved
    assert {name for name in moved if name.endswith("running_mean")}


# 12 steps an epoch: around the step at which the block joins, and at it.
@pytest.mark.parametrize(
    "step", [pytest.param(11, marks=pytest.mark.slow), 12, pytest.param(13, marks=pytest.mark.slow)]
)
def test_a_stop_around_an_epoch_that_unfreezes_changes_nothing(
    step: int, tuning: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tuning("gradual", trainer={"max_epochs": 2}, callbacks={"checkpoint": {"every_n_steps": 4}})
    (tmp_path / "whole").mkdir()
    whole = fit(job, squares, tmp_path / "whole", memory_run)
    with monkeypatch.context() as patch:
        crash_at(patch, step)
        with pytest.raises(CrashError):
            fit(job, squares, tmp_path, memory_run)
    assert same(whole, fit(job, squares, tmp_path, memory_run))


@pytest.mark.parametrize("step", [5, 12])
def test_a_stop_in_the_training_on_features_changes_nothing(
    step: int, tuning: MakeJob, squares: Any, memory_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tuning("head", finetune={"cache_features": True}, callbacks={"checkpoint": {"every_n_steps": 2}})
    (tmp_path / "whole").mkdir()
    whole = fit(job, squares, tmp_path / "whole", memory_run)
    with monkeypatch.context() as patch:
        crash_at(patch, step)
        with pytest.raises(CrashError):
            fit(job, squares, tmp_path, memory_run)
    assert same(whole, fit(job, squares, tmp_path, memory_run))


def test_a_training_on_features_that_is_cut_short_gives_its_threads_back(
    tuning: MakeJob, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    job, before = tuning("head", finetune={"cache_features": True}), torch.get_num_threads()
    seen: list[int] = []

    def watch(_: dict[str, float]) -> str:
        seen.append(torch.get_num_threads())
        return "enough"

    memory_run.set_tags = lambda _: None
    torch.set_num_threads(2)
    try:
        with pytest.raises(Halted):
            fit(job, squares, tmp_path, memory_run, watch=watch)
        assert (seen, torch.get_num_threads()) == ([1], 2)  # else the trials after it in a search would have but one
    finally:
        torch.set_num_threads(before)


def test_on_features_and_on_pictures_the_same_head_is_trained(
    tuning: MakeJob, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    fits = []
    for name, cached in (("features", True), ("pictures", False)):
        (tmp_path / name).mkdir()
        fits.append(fit(tuning("head", finetune={"cache_features": cached}), squares, tmp_path / name, memory_run))
    features, pictures = (one.network.state_dict() for one in fits)
    for name in features:
        torch.testing.assert_close(features[name], pictures[name], rtol=1e-4, atol=1e-5)
    for one, other in zip(fits[0].rows, fits[1].rows, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_the_delivered_model_is_a_whole_one(tuning: MakeJob, squares: Any) -> None:
    model = stage.train(tuning("head", finetune={"cache_features": True}, trainer={"max_epochs": 4}), squares)
    val = squares.split("val")
    with torch.inference_mode():
        logits = model.network()(torch.from_numpy(val.images()).permute(0, 3, 1, 2))
    assert float((logits.argmax(1).numpy() == val.labels).mean()) == pytest.approx(model.facts["val/acc"])
    assert model.facts["parameters"] == sum(parameter.numel() for parameter in model.network().parameters())
    assert model.facts["val/acc"] == max(row["val/acc"] for row in model.history())


def test_evaluation_takes_the_kept_features_and_says_the_same(
    tuning: MakeJob, squares: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from fovea.evaluation.frozen import split_logits
    from fovea.evaluation.infer import logits
    from fovea.evaluation.view import view_of

    # Keys that are not in the order in which the model's note has them.
    flip = {"p": 1.0, "_target_": "albumentations.HorizontalFlip"}
    model = stage.train(tuning("head", finetune={"cache_features": True}, augment={"eval": [flip]}), squares)
    network = model.network()
    caplog.clear()
    with caplog.at_level("INFO", "fovea"):
        said = {name: split_logits(model, network, squares, name, 50) for name in ("val", "test")}
    assert caplog.messages[0] == "features: those of 50 pictures of 2 were computed before"
    for name, found in said.items():
        expected = logits(network, squares.split(name), view_of(model), 50)
        assert found.shape == (50, 10)
        assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "made_of_it",
    [lambda logits: logits + torch.zeros(10), lambda logits: 2 * logits],
    ids=["classes of another head are added", "the head's are scaled"],
)
def test_a_network_of_more_than_its_head_keeps_no_features(
    made_of_it: Callable[[torch.Tensor], torch.Tensor],
    tuning: MakeJob,
    squares: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = tuning("head", finetune={"cache_features": True})

    def build(*arguments: Any) -> Any:
        network = build_network(*arguments)
        kind: Any = type(network.net)
        network.net.__class__ = type("More", (kind,), {"forward": lambda self, x: made_of_it(kind.forward(self, x))})
        return network

    monkeypatch.setattr(assembly, "build_network", build)
    with pytest.raises(UserError, match=r"more than one linear layer.* take finetune\.cache_features=false"):
        assemble(job, squares)
    assert not (tmp_path / CACHE).exists()


def test_averaged_weights_of_a_head_are_delivered_with_the_body(tuning: MakeJob, squares: Any) -> None:
    changes: dict[str, Any] = {"callbacks": {"averaging": {"kind": "ema", "decay": 0.9}}}
    cached = stage.train(tuning("head", finetune={"cache_features": True}, **changes), squares)
    plain = stage.train(tuning("head", finetune={"cache_features": False}, **changes), squares)
    one, other = cached.network().state_dict(), plain.network().state_dict()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-5)


def test_weights_of_other_classes_get_a_new_head(
    make_job: MakeJob, source: Path, squares: Any, memory_run: Any, tmp_path: Path
) -> None:
    data = {"classes": [str(label) for label in range(12)]}
    job = make_job(model={**NET, "weights": str(source)}, finetune={"mode": "full"}, data=data)
    matching = assemble(job, squares).matching
    assert matching is not None
    assert matching.new == ("classifier.2.weight", "classifier.2.bias")
    assert matching.summary().startswith("18 of 20 tensors reused from the trained model")
    assert matching.summary().endswith(
        "2 skipped (classifier.2.bias, classifier.2.weight), 2 new (classifier.2.weight, classifier.2.bias)"
    )
    assert "loaded   features.0.weight" in matching.report()


def test_another_number_of_classes_is_another_training_and_resumes_nothing(tuning: MakeJob) -> None:
    ten = tuning("full")
    twelve = tuning("full", data={"classes": [str(label) for label in range(12)]})
    assert ten.run_name(ten.digest("d")) != twelve.run_name(twelve.digest("d"))


def test_how_layers_are_trained_is_in_the_digest(tuning: MakeJob) -> None:
    jobs = [
        tuning("full"),
        tuning("head"),
        tuning("head", finetune={"cache_features": True}),
        tuning("discriminative"),
        tuning("discriminative", finetune={"layer_decay": 0.5}),
    ]
    assert len({job.digest("d") for job in jobs}) == len(jobs)


def sections(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "model": SimpleNamespace(weights="imagenet"),
        "finetune": SimpleNamespace(mode="head", cache_features=True, views=1),
        "augment": SimpleNamespace(mix=SimpleNamespace(is_on=False), train=[]),
        "loss": SimpleNamespace(distill=SimpleNamespace(teacher=None)),
        "trainer": SimpleNamespace(limit_batches=None, overfit_batches=None),
    }
    return SimpleNamespace(**values | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": SimpleNamespace(weights=None)}, "finetune=head has nothing to reuse; set model.weights=imagenet"),
        (
            {"finetune": SimpleNamespace(mode="from_scratch", cache_features=True, views=1)},
            "finetune=from_scratch begins with new weights, but model.weights=imagenet; drop model.weights",
        ),
        (
            {"augment": SimpleNamespace(mix=SimpleNamespace(is_on=True), train=[])},
            "augment.mix mixes pictures anew in every epoch",
        ),
        (
            {"loss": SimpleNamespace(distill=SimpleNamespace(teacher="x"))},
            "loss.distill.teacher must see the pictures",
        ),
        (
            {"finetune": SimpleNamespace(mode="head", cache_features=True, views=4)},
            "finetune.views=4 keeps differently augmented views, but augment.train changes nothing",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        finetune.check(sections(**changes))


def test_features_are_kept_where_they_can_be_and_asked_for() -> None:
    kept = sections()
    assert finetune.keeps_features(kept)
    finetune.check(kept)
    uncached = sections(finetune=SimpleNamespace(mode="head", cache_features=False, views=4))
    assert not finetune.keeps_features(uncached)
    finetune.check(uncached)
    few = SimpleNamespace(limit_batches=4, overfit_batches=None)
    mixed = sections(trainer=few, augment=SimpleNamespace(mix=SimpleNamespace(is_on=True), train=[]))
    assert not finetune.keeps_features(mixed)
    finetune.check(mixed)
