from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from fovea.core.errors import RunError
from fovea.loading import datamodule


def epochs(loader, count=2):
    """The batches of some epochs, as Lightning would ask for them."""
    result = []
    for epoch in range(count):
        loader.batch_sampler.sampler.set_epoch(epoch)
        result.append(list(loader))
    return result


def joined(parts):
    """The global batches of an epoch from those of the ranks."""
    return [
        type(shares[0])(*(torch.cat(column) for column in list(zip(*shares, strict=True))[:3]))
        for shares in zip(*parts, strict=True)
    ]


def same(one, other):
    pairs = [pair for left, right in zip(one, other, strict=True) for pair in zip(left[:3], right[:3], strict=True)]
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("workers", [1, 2])
def test_augmented_batches_are_the_same_for_any_number_of_workers(module, affine, workers):
    plain = epochs(module(train=affine).train_dataloader())
    parallel = epochs(module(train=affine, num_workers=workers).train_dataloader())
    assert all(same(one, other) for one, other in zip(plain, parallel, strict=True))
    assert not torch.equal(plain[0][0].images, plain[1][0].images)


def test_decoded_batches_are_the_same_with_workers(module, encoded):
    for kind in ("train_dataloader", "val_dataloader"):
        plain = list(getattr(module(encoded), kind)())
        assert same(plain, list(getattr(module(encoded, num_workers=2), kind)()))


@pytest.mark.parametrize("world_size", [2, 4])
def test_global_batches_are_the_same_for_any_number_of_ranks(module, affine, world_size):
    alone = epochs(module(train=affine).train_dataloader())
    ranks = [
        epochs(module(train=affine, rank=rank, world_size=world_size).train_dataloader()) for rank in range(world_size)
    ]
    for epoch, batches in enumerate(alone):
        assert same(batches, joined([rank[epoch] for rank in ranks]))
        assert {len(b.labels) for rank in ranks for b in rank[epoch]} == {8 // world_size}


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("limit", [None, 1])
def test_ranks_share_validation_without_padding(module, world_size, limit):
    alone = torch.cat([b.rows for b in module(limit_batches=limit).val_dataloader()])
    shares = [
        torch.cat([b.rows for b in module(rank=r, world_size=world_size, limit_batches=limit).val_dataloader()])
        for r in range(world_size)
    ]
    assert torch.equal(torch.cat(shares), alone)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_small_set_is_shared_by_all_ranks(module, prepared, split):
    prepared.train = split("train", 7)
    shares = [list(module(prepared, rank=r, world_size=2).train_dataloader()) for r in range(2)]
    assert [len(share) for share in shares] == [1, 1]
    assert sorted(torch.cat([share[0].rows for share in shares]).tolist()) == list(range(7))


def test_no_workers_are_started_where_pictures_need_no_work(module, affine):
    assert module(num_workers=2).train_dataloader().num_workers == 0
    augmented = module(num_workers=2, train=affine)
    assert augmented.train_dataloader().num_workers == 2
    assert augmented.val_dataloader().num_workers == 0


def test_workers_can_be_spawned(module, encoded, affine):
    loader = module(encoded, train=affine, num_workers=1).train_dataloader()
    key = next(iter(loader.batch_sampler))
    dataset = pickle.loads(pickle.dumps(loader.dataset))  # noqa: S301
    assert same([dataset.__getitems__(key)], [loader.dataset.__getitems__(key)])


def test_a_worker_imports_no_lightning():
    code = "import sys, fovea.loading.loader; print('pytorch_lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


CROP = [{"_target_": "albumentations.RandomResizedCrop", "size": [8, 8]}, {"_target_": "albumentations.HorizontalFlip"}]


@pytest.mark.parametrize("workers", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_pictures_of_any_size_give_the_same_batches_with_workers(module, ragged, workers):
    mix = {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}
    plain = epochs(module(ragged, train=CROP, mix=mix).train_dataloader())
    parallel = epochs(module(ragged, train=CROP, mix=mix, num_workers=workers).train_dataloader())
    assert all(same(one, other) for one, other in zip(plain, parallel, strict=True))


def test_workers_need_not_persist(module, ragged):
    plain = epochs(module(ragged, train=CROP).train_dataloader())
    loader = module(ragged, train=CROP, num_workers=1).train_dataloader()
    loader._DataLoader__initialized = False  # torch lets no one change it afterwards
    loader.persistent_workers = False
    assert all(same(one, other) for one, other in zip(plain, epochs(loader), strict=True))


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_automatic_workers_share_the_cores_where_pictures_are_decoded(module, prepared, ragged, monkeypatch, cores):
    monkeypatch.setattr(datamodule, "usable_cores", lambda: cores)
    assert module(ragged, num_workers="auto").train_dataloader().num_workers == min(cores, 6)
    shared = module(ragged, num_workers="auto", world_size=2).train_dataloader().num_workers
    assert shared == max(1, cores // 2)
    assert module(ragged, num_workers="auto").test_dataloader().num_workers == 1
    assert module(prepared, num_workers="auto", train=CROP).train_dataloader().num_workers == 0


def test_prefetching_is_the_users(module, ragged):
    assert module(ragged, num_workers=1).train_dataloader().prefetch_factor == 2
    assert module(ragged, num_workers=0).train_dataloader().prefetch_factor is None


def test_opencv_has_no_threads_in_workers(module, ragged, monkeypatch):
    counts = []
    monkeypatch.setattr(type(ragged.train), "image", lambda *_, **__: np.full((8, 8, 3), cv2.getNumThreads(), np.uint8))
    for workers in (0, 1):
        counts += [int(batch.images.max()) for batch in module(ragged, num_workers=workers).val_dataloader()]
    assert set(counts) == {1}


def test_a_killed_worker_is_told_in_one_sentence(module, ragged, monkeypatch):
    monkeypatch.setattr(type(ragged.train), "image", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RunError) as caught:
        list(module(ragged, num_workers=1).val_dataloader())
    assert str(caught.value).startswith("a loader process was killed (DataLoader worker (pid")
    assert str(caught.value).endswith("lower loader.num_workers, loader.prefetch or loader.batch_size")
