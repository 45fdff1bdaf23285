"""The pictures of a split as a batch takes them: decoded, and finished where nothing random follows."""

from __future__ import annotations

import copy
import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from fovea.core.digest import data_digest
from fovea.core.errors import RunError
from fovea.pictures.decode import REDUCTIONS

if TYPE_CHECKING:
    from fovea.augment import Augmenter
    from fovea.shards import Split

Image = npt.NDArray[np.uint8]
# What becomes of the same bytes may change with these.
_LIBRARIES = ("simplejpeg", "opencv-python-headless", "albumentations")


class Pictures(Protocol):
    """Gives the picture at a row."""

    def __call__(self, row: int) -> Image:
        """uint8 [H, W, C], not to be changed."""

    def stacked(self) -> Image | None:
        """All of them, uint8 [N, H, W, C] without work for a single one; None where each needs some."""

    def ready(self) -> None:
        """Does what is to be done once, before processes are forked that read."""

    @property
    def is_stacked(self) -> bool:
        """Whether `stacked` gives something."""


class Decoded:
    """Pictures out of the shards.

    Args:
        split: Where they are.
        shape: Height, width and channels that the network takes.
        least_side: Decode JPEG files at a half, a quarter or an eighth while the short side stays at least this long;
            None: at full size.
        fast: Decode a little less exactly.
        finish: Applied to each; must give the same for every epoch.

    Attributes:
        shape: Height, width and channels that the network takes.
    """

    def __init__(
        self,
        split: Split,
        shape: tuple[int, int, int],
        *,
        least_side: int | None = None,
        fast: bool = False,
        finish: Augmenter | None = None,
    ) -> None:
        self.split = split
        self.shape = shape
        self.least_side = least_side
        self.fast = fast
        self.finish = finish

    def __len__(self) -> int:
        return len(self.split)

    def __call__(self, row: int) -> Image:
        """uint8 [H, W, C], valid until the next one is asked for in the same thread."""
        pixels = self.split.images()
        least_side, fast = self.least_side, self.fast
        image = self.split.image(row, least_side=least_side, fast=fast) if pixels is None else pixels[row]
        if self.finish is None:
            return image
        try:
            return self.finish(image)
        except RunError as error:
            raise RunError(f"picture '{self.split.ids[row]}': {error}") from error

    def stacked(self) -> Image | None:
        """The shards' own pixels, where they hold pixels and nothing is to be done to them."""
        return None if self.finish else self.split.images()

    @property
    def is_stacked(self) -> bool:
        """Whether the shards hold pixels to which nothing is to be done."""
        return not self.split.encoded and self.finish is None

    def ready(self) -> None:
        """Nothing to do."""

    def sizes(self) -> npt.NDArray[np.int64]:
        """int64 [N, 2], height and width of each as decoded, before `finish`; up to a pixel."""
        return reduced(np.asarray(self.split.sizes, dtype=np.int64), self.least_side)

    def total_bytes(self) -> int:
        """About so many bytes take all of them together."""
        if self.finish is not None:
            return len(self) * math.prod(self.shape)
        return int(self.sizes().prod(axis=1).sum()) * self.shape[2]

    def twin(self, split: Split | None = None) -> Decoded:
        """The same for another thread, or for the pictures of another split."""
        finish = copy.copy(self.finish)
        split = self.split if split is None else split
        return Decoded(split, self.shape, least_side=self.least_side, fast=self.fast, finish=finish)

    def identity(self, prepared: str) -> str:
        """Hex digest of all that decides the pixels.

        Args:
            prepared: The digest of the prepared data.
        """
        return data_digest(
            {
                "prepared": prepared,
                "split": self.split.name,
                "least_side": self.least_side,
                "fast": self.fast,
                "finish": self.finish and self.finish.identity,
                "libraries": [f"{name} {version(name)}" for name in _LIBRARIES],
            }
        )


def reduced(sizes: npt.NDArray[np.int64], least_side: int | None) -> npt.NDArray[np.int64]:
    """Sizes after a decoding at 1/8, 1/4 or 1/2 that keeps the short side at least `least_side` long; up to a pixel.

    Args:
        sizes: int64 [N, 2].
        least_side: None: full size.
    """
    if least_side is None:
        return sizes
    short = sizes.min(axis=1)
    factor = np.ones(len(sizes), dtype=np.int64)
    for step in reversed(REDUCTIONS):
        factor[-(-short // step) >= least_side] = step
    return -(-sizes // factor[:, None])
