"""Augmentation as a pure function of (seed, epoch, sample)."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fovea.augment.threads import single_threaded
from fovea.augment.transforms import first_sentence, make
from fovea.core.errors import RunError, UserError

Image = npt.NDArray[np.uint8]

# The first word of every generator's seed, so that no other user of (seed, epoch) draws the same numbers.
_STREAM = 0xA06
_TRIALS = 8
_WHERE = "augment.train"


class Augmenter:
    """Changes a picture at random; the same (seed, epoch, key) always gives the same change.

    Neither the process, its workers, their number nor what was augmented before has a say. Not for use from several
    threads at once. Pickled, it carries its configuration alone.

    Args:
        transforms: Entries with `_target_` and arguments, as in `conf/augment/`.
        channels: Channels of the pictures.
        image_size: Height and width of the pictures.

    Raises:
        UserError: An entry is wrong, or the transforms do not keep the pictures' size and type.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]], *, channels: int, image_size: int) -> None:
        self._arguments = (list(transforms), channels, image_size)
        self._compose = _compose(make(transforms, _WHERE)) if transforms else None
        if self._compose is not None:
            self._rehearse()

    def __call__(self, image: Image, *, seed: int, epoch: int, key: int) -> Image:
        """One augmented picture.

        Args:
            image: uint8 [H, W, C]; never changed.
            seed: Of the run, not negative.
            epoch: Counted from 0.
            key: Stable identity of the sample, 0 to 2**64 - 1.

        Returns:
            uint8 [H, W, C] of the same shape.

        Raises:
            RunError: The result has another shape or type than the picture.
        """
        if self._compose is None:
            return image
        result = _applied(self._compose, image, (seed, epoch, key))
        if result.shape != image.shape or result.dtype != np.uint8:
            raise RunError(_changed(image, result))
        return result

    def __reduce__(self) -> tuple[Callable[..., Augmenter], tuple[Any, ...]]:
        entries, channels, size = self._arguments
        return partial(Augmenter, channels=channels, image_size=size), (entries,)

    def _rehearse(self) -> None:
        """Tries the transforms on a noise picture: each in turn at probability 1, then all as they are."""
        entries, channels, size = self._arguments
        image: Image = np.random.default_rng(0).integers(0, 256, (size, size, channels), dtype=np.uint8)
        result = image
        for i, transform in enumerate(make(entries, _WHERE, always=True)):
            where = f"{_WHERE}[{i}] {entries[i]['_target_']}"
            result = _tried(partial(_applied, _compose([transform]), position=(0, 0, 0)), result, where)
        if result.shape != image.shape or result.dtype != np.uint8:
            raise UserError(_changed(image, result))
        for key in range(_TRIALS):
            _tried(partial(self, seed=0, epoch=0, key=key), image, _WHERE)


def build(transforms: Sequence[Mapping[str, Any]], *, channels: int, image_size: int) -> Augmenter:
    """Makes an `Augmenter` and tries it on a noise picture; without transforms it imports nothing and changes nothing.

    Args:
        transforms: Entries with `_target_` and arguments, as in `conf/augment/`.
        channels: Channels of the pictures.
        image_size: Height and width of the pictures.

    Raises:
        UserError: An entry is wrong, or the transforms do not keep the pictures' size and type.
    """
    return Augmenter(transforms, channels=channels, image_size=image_size)


def _compose(transforms: list[Any]) -> Any:
    import albumentations

    single_threaded()
    return albumentations.Compose(transforms)


def _applied(compose: Any, image: Image, position: tuple[int, int, int]) -> Image:
    # One pair of generators for all transforms: with `seed=` each would draw the same numbers, and all fire together.
    numbers = np.random.default_rng((_STREAM, *position))
    compose.set_random_state(numbers, random.Random(int(numbers.integers(2**62))))
    result: Image = compose(image=image)["image"]
    return result


def _tried(apply: Callable[[Image], Image], image: Image, where: str) -> Image:
    with warnings.catch_warnings():
        # A transform that cannot do its work on such a picture sometimes says so in a warning alone.
        warnings.simplefilter("error", UserWarning)
        try:
            return apply(image)
        except RunError as error:
            raise UserError(str(error)) from None
        except Exception as error:
            raise UserError(f"{where} cannot change a {_words(image)} picture: {first_sentence(error)}") from error


def _changed(image: Image, result: Image) -> str:
    return (
        f"{_WHERE} turns a {_words(image)} picture into a {_words(result)} one; use transforms that keep size and type "
        "(normalisation happens later, on the device)"
    )


def _words(image: Image) -> str:
    size = "x".join(map(str, image.shape))
    return size if image.dtype == np.uint8 else f"{size} {image.dtype}"
