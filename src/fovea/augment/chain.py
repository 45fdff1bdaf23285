"""A chain of albumentations transforms whose every draw follows from a position."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt

from fovea.augment.threads import single_threaded

Image = npt.NDArray[np.uint8]

# The first word of every generator's seed, so that no other user of (seed, epoch) draws the same numbers.
_STREAM = 0xA06


def chained(transforms: list[Any]) -> Any:
    """The transforms one after the other."""
    import albumentations

    single_threaded()
    return albumentations.Compose(transforms)


def applied(chain: Any, image: Image, position: tuple[int, ...]) -> Image:
    """The picture as a chain changes it at a position, as (seed, epoch, key)."""
    # One pair of generators for all transforms: with `seed=` each would draw the same numbers, and all fire together.
    numbers = np.random.default_rng((_STREAM, *position))
    chain.set_random_state(numbers, random.Random(int(numbers.integers(2**62))))
    result: Image = chain(image=image)["image"]
    return result
