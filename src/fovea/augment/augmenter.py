"""Augmentation as a pure function of (seed, epoch, sample)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fovea.augment.chain import applied, chained
from fovea.augment.fit import fit
from fovea.augment.rehearsal import alike, cannot, changed, extremes, rehearse
from fovea.augment.transforms import make
from fovea.core.errors import RunError

Image = npt.NDArray[np.uint8]
Entries = Sequence[Mapping[str, Any]]

_FIXED = (0, 0, 0)


class Augmenter:
    """Changes a picture and brings it to the network's size; the same (seed, epoch, key) always gives the same change.

    Neither the process, its workers, their number nor what was augmented before has a say. Not for use from several
    threads at once. Pickled, it carries its configuration alone.

    Args:
        transforms: Entries with `_target_` and arguments, as in `conf/augment/`. They may change the size: what they
            leave in another one than the network's goes through `fit`.
        channels: Channels of the pictures.
        image_size: Height and width of the result in pixels.
        where: The list's place in the configuration, for messages.
        fixed: Take no notice of seed, epoch and key: the same change for every picture.

    Attributes:
        image_size: Height and width of the result in pixels.
    """

    def __init__(
        self, transforms: Entries, *, channels: int, image_size: int, where: str = "augment.train", fixed: bool = False
    ) -> None:
        self._entries = list(transforms)
        self._arguments: dict[str, Any] = {
            "channels": channels,
            "image_size": image_size,
            "where": where,
            "fixed": fixed,
        }
        self._shape = (image_size, image_size, channels)
        self._where = where
        self._fixed = fixed
        self.image_size = image_size
        self._chain = chained(make(transforms, where)) if transforms else None

    @property
    def is_plain(self) -> bool:
        """Whether it has no transforms: a picture that has the network's size already is given back as it is."""
        return self._chain is None

    @property
    def identity(self) -> dict[str, Any]:
        """Plain data of all that decides what becomes of a picture."""
        return {"transforms": self._entries, **self._arguments}

    def __call__(self, image: Image, *, seed: int = 0, epoch: int = 0, key: int = 0, draw: int = 0) -> Image:
        """One picture for the network.

        Args:
            image: uint8 [H, W, C] of any size; never changed.
            seed: Of the run, not negative.
            epoch: Counted from 0.
            key: Stable identity of the sample, 0 to 2**64 - 1.
            draw: How often the sample was drawn before in this epoch.

        Returns:
            uint8 [image_size, image_size, C].

        Raises:
            RunError: A transform cannot change this picture, or gives another kind of one.
        """
        if self._chain is None:
            return fit(image, self._shape[0])
        position = _FIXED if self._fixed else (seed, epoch, key, draw) if draw else (seed, epoch, key)
        try:
            result = applied(self._chain, image, position)
        except Exception as error:
            raise RunError(cannot(self._where, image, error)) from error
        if result.shape == self._shape and result.dtype == np.uint8:
            return result
        if not alike(image, result):
            raise RunError(changed(self._where, image, result))
        return fit(result, self._shape[0])

    def rehearsed(self, sizes: npt.NDArray[Any] | None) -> Self:
        """Itself, tried on noise.

        Args:
            sizes: int [N, 2], heights and widths of the pictures where they are not all of the network's size.

        Raises:
            UserError: A transform cannot change such pictures, or does not keep their channels and type.
        """
        if not self.is_plain:
            side, _, channels = self._shape
            shapes = [(side, side)] if sizes is None else extremes(sizes, side)
            rehearse(
                self._entries,
                lambda image, number: self(image, key=number),
                where=self._where,
                shapes=[(*shape, channels) for shape in shapes],
            )
        return self

    def __reduce__(self) -> tuple[Callable[..., Augmenter], tuple[Any, ...]]:
        return partial(Augmenter, **self._arguments), (self._entries,)


def build(transforms: Entries, *, channels: int, image_size: int, sizes: npt.NDArray[Any] | None = None) -> Augmenter:
    """Makes the augmentation of training pictures and tries it on noise, so that a mistake shows before training.

    Without transforms it imports nothing and changes no picture of the right size.

    Args:
        transforms: Entries with `_target_` and arguments, as in `conf/augment/`.
        channels: Channels of the pictures.
        image_size: Height and width of the result in pixels.
        sizes: int [N, 2], heights and widths of the pictures where they are not all of `image_size`.

    Raises:
        UserError: An entry is wrong, cannot change such pictures, or does not keep their channels and type.
    """
    return Augmenter(transforms, channels=channels, image_size=image_size).rehearsed(sizes)


def build_eval(
    transforms: Entries, *, channels: int, image_size: int, sizes: npt.NDArray[Any] | None = None
) -> Augmenter:
    """Makes the transform of validation, test and foreign pictures: the same for every picture, epoch and run.

    Args and errors are those of `build`.
    """
    kind: dict[str, Any] = {"where": "augment.eval", "fixed": True}
    return Augmenter(transforms, channels=channels, image_size=image_size, **kind).rehearsed(sizes)
