"""From the configuration to what is done to the pictures of a split."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fovea.augment import build, build_eval
from fovea.loading.decoded import Decoded

if TYPE_CHECKING:
    from fovea.augment import Augmenter
    from fovea.config.schema import AugmentConfig, DataConfig, LoaderConfig
    from fovea.shards import Split

# Pictures are decoded at no less than this times the network's size: a crop takes a part of them.
_SPARE = 2


class Recipe(NamedTuple):
    """What is done to the pictures of a split.

    Attributes:
        pictures: As they are the same in every epoch.
        augmenter: Changes them at random; None: nothing does.
    """

    pictures: Decoded
    augmenter: Augmenter | None = None


def for_training(split: Split, data: DataConfig, loader: LoaderConfig, augment: AugmentConfig) -> Recipe:
    """Training pictures: decoded as fast as the `loader` section allows, and augmented.

    Raises:
        UserError: A transform of `augment.train` is wrong.
    """
    shape = (data.image_size, data.image_size, data.channels)
    side = _SPARE * data.image_size if loader.scaled_decode and split.encoded else None
    pictures = Decoded(split, shape, least_side=side, fast=loader.fast_decode)
    augmenter = _augmenter(build, augment.train, pictures)
    if augment.train or augmenter is None:
        return Recipe(pictures, augmenter)
    return Recipe(Decoded(split, shape, least_side=side, fast=loader.fast_decode, finish=augmenter))


def for_evaluation(split: Split, data: DataConfig, augment: AugmentConfig) -> Recipe:
    """Pictures of validation and test: decoded exactly and at full size, and changed by `augment.eval`.

    Raises:
        UserError: A transform of `augment.eval` is wrong.
    """
    shape = (data.image_size, data.image_size, data.channels)
    finish = _augmenter(build_eval, augment.eval, Decoded(split, shape))
    return Recipe(Decoded(split, shape, finish=finish))


def _augmenter(make: Callable[..., Augmenter], transforms: list[dict[str, Any]], pictures: Decoded) -> Augmenter | None:
    """None where it would do nothing: pixels of the right size that no transform changes."""
    side, _, channels = pictures.shape
    encoded = pictures.split.encoded
    if not encoded and not transforms:
        return None
    return make(transforms, channels=channels, image_size=side, sizes=pictures.sizes() if encoded else None)
