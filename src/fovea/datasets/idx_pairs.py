"""A source of IDX pairs: a file of images and a file of labels for each official split, as MNIST has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError, UserError, nearest
from fovea.datasets.idx import read_idx
from fovea.datasets.locate import locate
from fovea.datasets.samples import SPLITS, Samples, SplitName, checked_labels
from fovea.datasets.source import SourceFiles

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig

_ROLES = [f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels")]


def ingest(data: DataConfig) -> SourceFiles:
    """Finds or fetches the files that the config names.

    Raises:
        UserError: The config's files are not pairs of images and labels, or a mirror is no address.
        RunError: A file cannot be had.
    """
    splits(data)
    return locate(data)


def read(source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
    """The pictures of each official split, in the order of the files.

    Raises:
        UserError: The config names other files than the source has, or another size or number of channels.
        RunError: A file is damaged, images and labels differ in number, or a label is out of range.
    """
    for split in splits(data):
        yield _pair(source, data, split)


def class_names(source: SourceFiles, data: DataConfig) -> list[str]:
    """What the config calls the classes; IDX files have numbers only.

    Raises:
        UserError: The config does not name them.
    """
    return _names(data)


def _names(data: DataConfig) -> list[str]:
    if data.classes is None:
        raise UserError("data.classes is null but IDX files do not name their classes; list the names in data.classes")
    return list(data.classes)


def splits(data: DataConfig) -> list[SplitName]:
    """The official splits that the config's files make up.

    Raises:
        UserError: The files are not pairs of images and labels, or the config is not of grey pictures.
    """
    for role in data.files:
        if role not in _ROLES:
            raise UserError(f"data.files has '{role}'{nearest(role, _ROLES)}")
    if "train_images" not in data.files:
        raise UserError("data.files lacks 'train_images'; a source of IDX pairs needs train_images and train_labels")
    for role in data.files:
        split, _, kind = role.partition("_")
        other = f"{split}_{'labels' if kind == 'images' else 'images'}"
        if other not in data.files:
            raise UserError(f"data.files has '{role}' but not '{other}'; images and labels go in pairs")
    if data.channels != 1:
        raise UserError(f"data.channels is {data.channels} but IDX images have 1; set data.channels=1")
    return [split for split in SPLITS if f"{split}_images" in data.files]


def _pair(source: SourceFiles, data: DataConfig, split: SplitName) -> Samples:
    files = source.files
    try:
        image_file, label_file = files[f"{split}_images"], files[f"{split}_labels"]
    except KeyError as missing:
        raise UserError(
            f"the source has no file for {missing}; run `kedro run --pipelines=ingest` with this config"
        ) from None
    return paired(image_file, label_file, read_idx(image_file, 3), read_idx(label_file, 1), data, split)


def paired(
    image_file: Path,
    label_file: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    data: DataConfig,
    split: SplitName,
) -> Samples:
    """The pictures of a pair of files.

    Args:
        image_file: Name of the images, for messages and members.
        label_file: Name of the labels.
        images: uint8 of shape [N, H, W].
        labels: uint8 of shape [N].
        data: The data set.
        split: The official split.

    Raises:
        UserError: The images are of another size than the config says.
        RunError: Images and labels differ in number, or a label is out of range.
    """
    if images.shape[1:] != (data.image_size, data.image_size):
        found = f"{images.shape[1]} x {images.shape[2]}"
        raise UserError(
            f"'{image_file}' has images of {found} pixels but data.image_size is {data.image_size}; correct "
            "data.image_size"
        )
    if len(images) != len(labels):
        raise RunError(f"'{image_file}' has {len(images):,} images but '{label_file}' has {len(labels):,} labels")
    numbers = range(len(images))
    return Samples(
        ids=[f"{split}-{number:06d}" for number in numbers],
        members=[f"{image_file.name}[{number}]" for number in numbers],
        labels=checked_labels(labels, _names(data), f"'{label_file}'"),
        images=images[..., None],
        split=split,
    )
