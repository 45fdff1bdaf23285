from __future__ import annotations

import pytest
import torch

from fovea.core.errors import UserError

MIX = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}


def plans(loader, epoch=0):
    loader.batch_sampler.sampler.set_epoch(epoch)
    return [batch.mix for batch in loader]


def same(one, other):
    return all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def test_training_batches_alone_are_mixed(module):
    data = module(mix=MIX)
    mixes = plans(data.train_dataloader())
    assert [mix.partner.tolist() for mix in mixes] == [[1, 0, 3, 2, 5, 4, 7, 6]] * 6
    assert all(batch.mix is None for loader in (data.val_dataloader(), data.test_dataloader()) for batch in loader)
    assert plans(module().train_dataloader()) == [None] * 6
    assert plans(module(mix=MIX, overfit_batches=1).train_dataloader()) == [None]


@pytest.mark.parametrize("workers", [0, 1])
def test_mixing_differs_by_epoch_and_not_by_workers(module, affine, workers):
    loader = module(mix=MIX, train=affine, num_workers=workers).train_dataloader()
    expected = module(mix=MIX, train=affine).train_dataloader()
    assert same(plans(loader), plans(expected))
    assert same(plans(loader, 1), plans(expected, 1))
    assert not same(plans(loader, 1), plans(expected, 0))


@pytest.mark.parametrize("batch_size", [8, 64])
@pytest.mark.parametrize("world_size", [2, 4])
def test_shares_of_ranks_are_mixed_as_the_whole_batch(module, world_size, batch_size):
    options = {"mix": MIX, "batch_size": batch_size, "sampling": "balanced"}
    whole = plans(module(**options).train_dataloader())
    ranks = [plans(module(rank=r, world_size=world_size, **options).train_dataloader()) for r in range(world_size)]
    for mix, shares in zip(whole, zip(*ranks, strict=True), strict=True):
        starts = torch.tensor([0, *(len(share.partner) for share in shares)]).cumsum(0)
        assert all(len(share.partner) % 2 == 0 for share in shares)
        assert torch.equal(
            mix.partner, torch.cat([s.partner + start for s, start in zip(shares, starts[:-1], strict=True)])
        )
        assert torch.equal(mix.share, torch.cat([share.share for share in shares]))
        assert torch.equal(mix.boxes, torch.cat([share.boxes for share in shares]))


def test_uneven_shares_are_refused_where_pairs_are_mixed(module):
    assert len(module(batch_size=6, world_size=2).train_dataloader()) == 8
    assert len(module(batch_size=7, mix=MIX).train_dataloader()) == 7
    with pytest.raises(UserError) as caught:
        module(batch_size=6, world_size=2, mix=MIX)
    assert str(caught.value) == (
        "augment.mix mixes pairs of pictures, and loader.batch_size 6 gives each of 2 processes 3; choose a multiple "
        "of 4"
    )


def test_too_few_pictures_for_a_pair_on_each_rank_are_refused(module, prepared, split):
    prepared.train = split("train", 5)
    with pytest.raises(UserError, match="has 5 pictures and needs at least 6"):
        module(prepared, batch_size=12, rank=2, world_size=3, mix=MIX).train_dataloader()
