from __future__ import annotations

import pytest
import torch

from fovea.core.errors import RunError


def follow(loader, epochs, start=0):
    """Epoch, state after, and rows of every batch of epochs `start` to `epochs`, set as Lightning sets them."""
    for epoch in range(start, epochs):
        loader.batch_sampler.sampler.set_epoch(epoch)
        for batch in loader:
            yield loader.state_dict(), batch


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left[:3], right[:3], strict=True)
    )


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("stop", [0, 2, 5, 8, 11, 16])
def test_what_remains_is_the_same_after_a_stop_anywhere(module, affine, workers, stop):
    whole = list(follow(module(train=affine).train_dataloader(), 3))
    state, _ = whole[stop]
    loader = module(train=affine, num_workers=workers).train_dataloader()
    loader.load_state_dict(state)
    rest = [batch for _, batch in follow(loader, 3, start=state["epoch"])]
    assert same(rest, [batch for _, batch in whole[stop + 1 :]])


def test_the_state_names_the_next_batch(module):
    states = [state for state, _ in follow(module().train_dataloader(), 2)]
    assert [(s["epoch"], s["batch"]) for s in states] == [
        *((0, b) for b in range(1, 6)),
        (1, 0),
        *((1, b) for b in range(1, 6)),
        (2, 0),
    ]


def test_read_ahead_batches_do_not_count(module, affine):
    iterator = follow(module(train=affine, num_workers=1).train_dataloader(), 1)
    assert [next(iterator)[0]["batch"] for _ in range(3)] == [1, 2, 3]


def test_the_state_before_the_first_batch_of_an_epoch(module):
    loader = module().train_dataloader()
    assert loader.state_dict() == {"epoch": 0, "batch": 0, "batches": 6}
    list(loader)
    loader.batch_sampler.sampler.set_epoch(1)
    assert loader.state_dict() == {"epoch": 1, "batch": 0, "batches": 6}


def test_a_restored_state_is_given_back_unchanged(module):
    loader = module().train_dataloader()
    state = {"epoch": 2, "batch": 4, "batches": 6}
    loader.load_state_dict(state)
    assert loader.state_dict() == state
    loader.batch_sampler.sampler.set_epoch(2)
    assert loader.state_dict() == state


def test_the_length_stays_that_of_a_whole_epoch(module):
    loader = module().train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": 4, "batches": 6})
    assert len(loader) == 6
    assert len(list(loader)) == 2


def test_an_epoch_after_the_resumed_one_is_whole(module):
    loader = module().train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": 4, "batches": 6})
    assert [len(list(loader)), len(list(loader))] == [2, 6]


def test_another_epoch_than_the_saved_one_begins_at_its_start(module):
    loader = module().train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": 4, "batches": 6})
    loader.batch_sampler.sampler.set_epoch(1)
    assert len(list(loader)) == 6


def test_a_checkpoint_of_other_batches_is_refused(module):
    with pytest.raises(RunError, match="counts 6 batches an epoch but this run has 3"):
        module(batch_size=16).train_dataloader().load_state_dict({"epoch": 0, "batch": 4, "batches": 6})


def test_other_ranks_may_go_on(module):
    state = {"epoch": 1, "batch": 3, "batches": 6}
    shares = []
    for options in ({}, {"rank": 0, "world_size": 2}, {"rank": 1, "world_size": 2}):
        loader = module(**options).train_dataloader()
        loader.load_state_dict(state)
        shares.append([batch.rows for batch in loader])
    assert all(torch.equal(whole, torch.cat(halves)) for whole, *halves in zip(*shares, strict=True))
