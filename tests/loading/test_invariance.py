from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch


def epochs(loader, count=2):
    """The batches of some epochs, as Lightning would ask for them."""
    result = []
    for epoch in range(count):
        loader.batch_sampler.sampler.set_epoch(epoch)
        result.append(list(loader))
    return result


def joined(parts):
    """The global batches of an epoch from those of the ranks."""
    return [type(shares[0])(*map(torch.cat, zip(*shares, strict=True))) for shares in zip(*parts, strict=True)]


def same(one, other):
    pairs = [pair for left, right in zip(one, other, strict=True) for pair in zip(left, right, strict=True)]
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
