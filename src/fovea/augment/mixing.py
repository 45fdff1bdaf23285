"""MixUp and CutMix: which pictures of a batch are mixed, and how, as a pure function of (seed, epoch, sample)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from fovea.config.schema import MixConfig

# The first word of every generator's seed, so that no other user of (seed, epoch, key) draws the same numbers.
_STREAM = 0x313


class Mix(NamedTuple):
    """What each picture of a batch is mixed with.

    Attributes:
        partner: int64 [B], index within the batch of the picture that is mixed in; the own index where none is.
        share: float32 [B], weight of the own picture's label, 1 where nothing is mixed in.
        boxes: int64 [B, 4], (top, left, bottom, right) in pixels of what CutMix takes from the partner, ends excluded;
            an empty box means MixUp.
    """

    partner: Tensor
    share: Tensor
    boxes: Tensor


def plan(
    keys: npt.NDArray[np.uint64],
    *,
    seed: int,
    epoch: int,
    config: MixConfig,
    image_size: int,
    draws: npt.NDArray[np.int64] | None = None,
) -> Mix:
    """Pairs each picture with its neighbour: 0 with 1, 2 with 3, and so on; an odd last one stays as it is.

    Ranks that take even shares of a batch therefore mix as one process would. Each picture draws its own share.

    MixUp: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, section 2. CutMix: Yun et al., "CutMix",
    2019, section 3.1; the label's share is that of the pixels which remain after the box is cut at the border.

    Args:
        keys: uint64 [B], stable identities of the samples.
        seed: Of the run, not negative.
        epoch: Counted from 0.
        config: The `augment.mix` section.
        image_size: Height and width of the pictures in pixels.
        draws: int64 [B], how often each sample was drawn before in the epoch; None: never.
    """
    import torch

    count = len(keys)
    partner = np.arange(count, dtype=np.int64)
    share = np.ones(count, dtype=np.float32)
    boxes = np.zeros((count, 4), dtype=np.int64)
    for row in range(count - count % 2 if config.is_on else 0):
        draw = 0 if draws is None else int(draws[row])
        numbers = np.random.default_rng((_STREAM, seed, epoch, int(keys[row]), draw))
        if numbers.random() >= config.prob:
            continue
        partner[row] = row ^ 1
        if _takes_cutmix(config, numbers.random()):
            boxes[row], share[row] = _box(numbers, config.cutmix_alpha, image_size)
        else:
            share[row] = numbers.beta(config.mixup_alpha, config.mixup_alpha)
    return Mix(torch.from_numpy(partner), torch.from_numpy(share), torch.from_numpy(boxes))


def apply(images: Tensor, mix: Mix) -> Tensor:
    """The mixed pictures.

    Args:
        images: uint8 or floating [B, C, H, W]; never changed.
        mix: On the same device.

    Returns:
        Floats of the same shape and range, float32 for uint8.
    """
    import torch

    pixels = images if images.is_floating_point() else images.float()
    top, left, bottom, right = mix.boxes.to(pixels.device).T[:, :, None, None]
    rows = torch.arange(pixels.shape[2], device=pixels.device)[:, None]
    columns = torch.arange(pixels.shape[3], device=pixels.device)
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    cut = (top < bottom) & (left < right)
    weight = torch.where(cut, (~inside).to(pixels.dtype), mix.share.to(pixels.dtype)[:, None, None])
    return torch.lerp(pixels[mix.partner], pixels, weight[:, None])


def _takes_cutmix(config: MixConfig, drawn: float) -> bool:
    if config.mixup_alpha == 0:
        return True
    return config.cutmix_alpha > 0 and drawn < config.switch_prob


def _box(numbers: np.random.Generator, alpha: float, side: int) -> tuple[tuple[int, int, int, int], float]:
    """A square of area 1 - lambda around an even centre, cut at the border, and the share of the pixels outside."""
    cut = int(side * np.sqrt(1.0 - numbers.beta(alpha, alpha)))
    y, x = numbers.integers(side, size=2).tolist()
    top, bottom = max(y - cut // 2, 0), min(y + cut // 2, side)
    left, right = max(x - cut // 2, 0), min(x + cut // 2, side)
    return (top, left, bottom, right), 1.0 - (bottom - top) * (right - left) / side**2
