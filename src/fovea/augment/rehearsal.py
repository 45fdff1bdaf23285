"""Tries transforms on noise, so that a mistake is told before training and not in the middle of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fovea.augment.chain import applied, chained
from fovea.augment.transforms import first_sentence, make
from fovea.core.errors import RunError, UserError

Image = npt.NDArray[np.uint8]

_TRIALS = 8
_LARGEST = 4  # times the network's size: trying on larger noise takes long and shows no more


def rehearse(
    entries: Iterable[Mapping[str, Any]],
    trial: Callable[[Image, int], Image],
    *,
    where: str,
    shapes: Iterable[tuple[int, int, int]],
) -> None:
    """Tries each transform in turn, also those within others, at probability 1, and then all as they are.

    Args:
        entries: As in the configuration.
        trial: Changes a picture as all transforms together do, at one of several positions.
        where: The list's place in the configuration.
        shapes: Heights, widths and channels of the noise.

    Raises:
        UserError: A transform cannot change such a picture, or gives one of other channels or another type.
    """
    for shape in shapes:
        image: Image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        result = image
        for i, entry in enumerate(entries):
            result = _each(entry, f"{where}[{i}]", result)
        if not alike(image, result):
            raise UserError(changed(where, image, result))
        for number in range(_TRIALS):
            _tried(partial(trial, image, number), image, where)


def extremes(sizes: npt.NDArray[Any], image_size: int) -> list[tuple[int, int]]:
    """The sizes among those of many pictures that transforms are likeliest to stumble over.

    Args:
        sizes: int [N, 2], heights and widths.
        image_size: Height and width of the network's pictures.

    Returns:
        Heights and widths of the lowest, the narrowest, the flattest and the steepest picture, none of them much
        larger than the network's.
    """
    if not len(sizes):
        return [(image_size, image_size)]
    heights, widths = sizes[:, 0].astype(np.int64), sizes[:, 1].astype(np.int64)
    slopes = heights / widths
    rows = (heights.argmin(), widths.argmin(), slopes.argmin(), slopes.argmax())
    largest = _LARGEST * image_size
    return sorted({(min(int(heights[row]), largest), min(int(widths[row]), largest)) for row in rows})


def alike(image: Image, result: Image) -> bool:
    """Whether a result is a picture of the same channels and type."""
    return result.dtype == np.uint8 and result.ndim == 3 and result.shape[2] == image.shape[2]


def changed(where: str, image: Image, result: Image) -> str:
    """Says that transforms gave another kind of picture."""
    return (
        f"{where} turns a {_words(image)} picture into a {_words(result)} one; use transforms that keep channels and "
        "type (normalisation happens later, on the device)"
    )


def cannot(where: str, image: Image, error: BaseException) -> str:
    """Says that a transform failed."""
    return f"{where} cannot change a {_words(image)} picture: {first_sentence(error)}"


def _each(entry: Mapping[str, Any], where: str, image: Image) -> Image:
    target = str(entry["_target_"])
    inside = image
    for i, inner in enumerate(entry.get("transforms", ())):
        result = _each(inner, f"{where}.transforms[{i}]", inside)
        inside = result if target.endswith("Sequential") else inside
    chain = chained(make([entry], where, always=True))
    return _tried(partial(applied, chain, image, (0, 0, 0)), image, f"{where} {target}")


def _tried(change: Callable[[], Image], image: Image, where: str) -> Image:
    with warnings.catch_warnings():
        # A transform that cannot do its work on such a picture sometimes says so in a warning alone.
        warnings.simplefilter("error", UserWarning)
        try:
            return change()
        except RunError as error:
            raise UserError(str(error)) from error
        except Exception as error:
            raise UserError(cannot(where, image, error)) from error


def _words(image: Image) -> str:
    size = "x".join(map(str, image.shape))
    return size if image.dtype == np.uint8 else f"{size} {image.dtype}"
