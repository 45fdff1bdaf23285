"""The same batches, by rows, pixels and what is mixed, whatever shares them and however pictures are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fovea.config.schema import LoaderConfig
from fovea.core.errors import UserError
from fovea.loading.features import FeatureDataModule, FeatureTable

CROP = [{"_target_": "albumentations.RandomResizedCrop", "size": [8, 8]}, {"_target_": "albumentations.HorizontalFlip"}]
BOTH = {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}
OPTIONS = {
    "mixed": {"train": CROP, "mix": BOTH},
    "balanced": {"train": CROP, "sampling": "balanced"},
    "balanced and mixed": {"train": CROP, "sampling": "balanced", "mix": BOTH},
    "few batches": {"train": CROP, "limit_batches": 2},
    "one batch for ever": {"overfit_batches": 2},
    "kept in memory": {"train": CROP, "cache": "memory"},
    "kept on disk": {"train": CROP, "cache": "disk", "scaled_decode": True, "fast_decode": True},
    "with processes": {"train": CROP, "mix": BOTH, "num_workers": 1},
}


def epochs(loader, count=2):
    result = []
    for epoch in range(count):
        loader.batch_sampler.sampler.set_epoch(epoch)
        result.append([copied(batch) for batch in loader])
    return result


def copied(batch):
    return batch._replace(images=batch.images.clone())


def joined(shares):
    """A global batch from those of the ranks."""
    columns = {name: torch.cat([getattr(share, name) for share in shares]) for name in ("images", "labels", "rows")}
    mix = shares[0].mix
    if mix is not None:
        firsts = np.cumsum([0, *[len(share.labels) for share in shares]]).tolist()
        partner = torch.cat([share.mix.partner + first for share, first in zip(shares, firsts[:-1], strict=True)])
        share = torch.cat([share.mix.share for share in shares])
        mix = mix._replace(partner=partner, share=share, boxes=torch.cat([share.mix.boxes for share in shares]))
    return shares[0]._replace(**columns, mix=mix)


def same(one, other):
    tensors = [[*batch[:3], *(batch.mix or ())] for batch in (one, other)]
    return all(torch.equal(a, b) for a, b in zip(*tensors, strict=True))


@pytest.fixture
def _project(tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))


@pytest.mark.usefixtures("_project")
@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("name", OPTIONS)
def test_batches_of_ranks_are_those_of_one_process(module, ragged, name, world_size):
    options = OPTIONS[name]
    alone = epochs(module(ragged, **options).train_dataloader())
    ranks = [
        epochs(module(ragged, **options, rank=rank, world_size=world_size).train_dataloader())
        for rank in range(world_size)
    ]
    assert any(batch.mix is not None for batch in alone[0]) == ("mix" in options)
    for epoch, batches in enumerate(alone):
        parts = list(zip(*[rank[epoch] for rank in ranks], strict=True))
        assert len(parts) == len(batches)
        for batch, shares in zip(batches, parts, strict=True):
            assert same(joined(shares), batch)
            assert {len(share.labels) for share in shares} == {8 // world_size}


@pytest.mark.usefixtures("_project")
@pytest.mark.parametrize("world_size", [2, 3, 4])
@pytest.mark.parametrize("name", ["mixed", "one batch for ever", "kept on disk"])
def test_ranks_validate_every_picture_once(module, ragged, name, world_size):
    options = OPTIONS[name] | {"batch_size": 24}
    alone = joined(list(module(ragged, **options).val_dataloader()))
    ranks = [
        [copied(batch) for batch in module(ragged, **options, rank=rank, world_size=world_size).val_dataloader()]
        for rank in range(world_size)
    ]
    assert same(joined([batch for rank in ranks for batch in rank]), alone)


def features_of(sampling="shuffle", count=50, **place):
    numbers = np.random.default_rng(0)

    def table(views, count):
        keys = numbers.integers(1000, size=count).astype(np.uint64)
        labels = np.arange(count, dtype=np.int64) % 3
        return FeatureTable([numbers.random((count, 4), np.float32) for _ in range(views)], labels, keys)

    loader = LoaderConfig(
        batch_size=8,
        eval_batch_size=5,
        num_workers=0,
        prefetch=2,
        sampling=sampling,
        cache="none",
        fast_decode=True,
        scaled_decode=True,
    )
    return FeatureDataModule(table(3, count), table(1, 23), loader=loader, classes=["a", "b", "c"], seed=1, **place)


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("sampling", ["shuffle", "balanced"])
def test_features_of_ranks_are_those_of_one_process(sampling, world_size):
    alone = epochs(features_of(sampling).train_dataloader())
    data = [features_of(sampling, rank=rank, world_size=world_size) for rank in range(world_size)]
    ranks = [epochs(one.train_dataloader()) for one in data]
    for epoch, batches in enumerate(alone):
        for batch, *shares in zip(batches, *[rank[epoch] for rank in ranks], strict=True):
            assert same(joined(shares), batch)
    every = [batch for one in data for batch in one.val_dataloader()]
    assert same(joined(every), joined(list(features_of(sampling).val_dataloader())))


def test_features_that_processes_cannot_share_are_refused():
    with pytest.raises(UserError, match=r"loader\.batch_size 8 cannot be shared evenly by 3 processes"):
        features_of(rank=0, world_size=3)
    with pytest.raises(UserError, match=r"the train part has 3 pictures and 4 processes need one each"):
        features_of(count=3, rank=0, world_size=4)


def test_few_pictures_are_shared_unevenly_and_say_so(module, ragged, split):
    ragged.train = split("train", 7)
    loaders = [module(ragged, rank=rank, world_size=2).train_dataloader() for rank in range(2)]
    assert [loader.share for loader in loaders] == [(3, 7, 2, 0), (4, 7, 2, 3)]
    assert sum(loader.share.weight for loader in loaders) == pytest.approx(2.0)
