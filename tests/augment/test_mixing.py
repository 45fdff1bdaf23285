"""MixUp and CutMix: who is mixed with whom, by how much, and what comes out."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from fovea.augment.mixing import Mix, apply, plan
from fovea.config.schema.data import MixConfig

OFF = MixConfig(mixup_alpha=0.0, cutmix_alpha=0.0, prob=1.0, switch_prob=0.5)
MIXUP = OFF.model_copy(update={"mixup_alpha": 0.4})
CUTMIX = OFF.model_copy(update={"cutmix_alpha": 1.0})
BOTH = OFF.model_copy(update={"mixup_alpha": 0.4, "cutmix_alpha": 1.0})
KEYS = np.random.default_rng(0).integers(2**64, size=1000, dtype=np.uint64)


def planned(config, keys=KEYS, *, seed=0, epoch=0, image_size=32, draws=None) -> Mix:
    return plan(keys, seed=seed, epoch=epoch, config=config, image_size=image_size, draws=draws)


def same(one: Mix, other: Mix) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def is_cut(mix: Mix) -> torch.Tensor:
    return (mix.boxes[:, 0] < mix.boxes[:, 2]) & (mix.boxes[:, 1] < mix.boxes[:, 3])


def test_a_plan_has_the_promised_types():
    mix = planned(BOTH)
    assert [tensor.dtype for tensor in mix] == [torch.int64, torch.float32, torch.int64]
    assert [tuple(tensor.shape) for tensor in mix] == [(1000,), (1000,), (1000, 4)]


@pytest.mark.parametrize("config", [MIXUP, CUTMIX, BOTH])
def test_neighbours_are_partners_and_an_odd_one_stays_as_it_is(config):
    mix = planned(config, KEYS[:7])
    assert mix.partner.tolist() == [1, 0, 3, 2, 5, 4, 6]
    assert (mix.share[6], mix.boxes[6].tolist()) == (1, [0, 0, 0, 0])


@pytest.mark.parametrize("config", [OFF, BOTH.model_copy(update={"prob": 0.0})])
def test_switched_off_nothing_is_mixed(config):
    mix = planned(config)
    images = torch.rand(1000, 1, 2, 2)
    assert not config.is_on
    assert torch.equal(mix.share, torch.ones(1000))
    assert torch.equal(apply(images, mix), images)


def test_a_plan_follows_from_seed_epoch_and_key_alone():
    mix = planned(BOTH)
    np.random.seed(1)
    torch.manual_seed(1)
    assert same(planned(BOTH), mix)
    assert not same(planned(BOTH, seed=1), mix)
    assert not same(planned(BOTH, epoch=1), mix)
    assert not same(planned(BOTH, KEYS[::-1].copy()), mix)


def test_even_shares_of_a_batch_mix_as_the_whole_does():
    whole, parts = planned(BOTH, KEYS[:12]), [planned(BOTH, KEYS[start : start + 4]) for start in (0, 4, 8)]
    assert torch.equal(torch.cat([part.share for part in parts]), whole.share)
    assert torch.equal(torch.cat([part.boxes for part in parts]), whole.boxes)
    assert torch.equal(torch.cat([part.partner + 4 * i for i, part in enumerate(parts)]), whole.partner)


def test_a_sample_drawn_again_is_mixed_otherwise():
    first = planned(BOTH, draws=np.zeros(1000, np.int64))
    assert same(first, planned(BOTH))
    draws = np.zeros(1000, np.int64)
    draws[::2] = 1
    again = planned(BOTH, draws=draws)
    assert torch.equal(again.share[1::2], first.share[1::2])
    assert (again.share[::2] != first.share[::2]).float().mean() > 0.9


def test_probabilities_are_kept():
    mix = planned(BOTH.model_copy(update={"prob": 0.6, "switch_prob": 0.25}))
    mixed = mix.partner != torch.arange(1000)
    # Standard errors of 0.015 and 0.018; a box may come out empty, and MixUp never has one.
    assert abs(float(mixed.float().mean()) - 0.6) < 0.05
    assert 0.19 < float(is_cut(mix)[mixed].float().mean()) < 0.3
    assert not is_cut(mix)[~mixed].any()
    assert not is_cut(planned(MIXUP)).any()


def test_shares_of_mixup_are_of_the_beta_distribution():
    share = planned(MIXUP).share.numpy()
    # Mean 1/2, variance 1 / (4 (2 alpha + 1)).
    assert abs(share.mean() - 0.5) < 0.04
    assert abs(share.var() - 1 / (4 * 1.8)) < 0.015


def test_shares_of_partners_and_of_epochs_are_uncorrelated():
    share, later = planned(MIXUP).share.numpy(), planned(MIXUP, epoch=1).share.numpy()
    assert abs(np.corrcoef(share[::2], share[1::2])[0, 1]) < 0.15
    assert abs(np.corrcoef(share, later)[0, 1]) < 0.1


def test_mixup_is_the_weighted_mean():
    images = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    mix = planned(MIXUP, KEYS[:6], image_size=8)
    expected = mix.share[:, None, None, None] * images + (1 - mix.share[:, None, None, None]) * images[mix.partner]
    mixed = apply(images, mix)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, expected)


def test_cutmix_takes_the_box_from_the_partner_and_counts_its_pixels():
    images = torch.randint(0, 256, (200, 3, 32, 32), dtype=torch.uint8)
    before = images.clone()
    mix = planned(CUTMIX, KEYS[:200])
    mixed = apply(images, mix)
    assert torch.equal(images, before)
    for row, (top, left, bottom, right) in enumerate(mix.boxes.tolist()):
        expected = images[row].float()
        expected[:, top:bottom, left:right] = images[row ^ 1, :, top:bottom, left:right].float()
        assert torch.equal(mixed[row], expected)
        assert float(mix.share[row]) == pytest.approx(1 - (bottom - top) * (right - left) / 32**2)
    assert is_cut(mix).float().mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_floating_pictures_keep_their_type(dtype):
    images = torch.rand(8, 1, 4, 4).to(dtype)
    assert apply(images, planned(BOTH, KEYS[:8], image_size=4)).dtype == dtype


def test_pictures_of_channels_last_layout_are_mixed_alike():
    images = torch.rand(8, 3, 6, 6)
    mix = planned(BOTH, KEYS[:8], image_size=6)
    assert torch.equal(apply(images.contiguous(memory_format=torch.channels_last), mix), apply(images, mix))


def test_the_package_imports_no_torch():
    code = "import sys, fovea.augment.mixing; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
