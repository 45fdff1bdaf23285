"""EMNIST: pairs of IDX files within one zip archive, their pictures with rows and columns exchanged.

Cohen, Afshar, Tapson and van Schaik, "EMNIST: an extension of MNIST to handwritten letters" (2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError, UserError
from fovea.datasets import idx_pairs
from fovea.datasets.archives import broken
from fovea.datasets.idx import read_idx
from fovea.datasets.locate import locate
from fovea.datasets.members import MemberError
from fovea.datasets.samples import Samples
from fovea.datasets.source import SourceFiles
from fovea.datasets.zips import list_zip

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig

_ROLE = "archive"
_MOST = 1 << 30  # bytes of a member; the largest official one, unpacked, has half of that


def ingest(data: DataConfig) -> SourceFiles:
    """Finds or fetches the archive; the other files of the config are members of it.

    Raises:
        UserError: The config names no archive, or no pairs of images and labels.
        RunError: The archive cannot be had.
    """
    if _ROLE not in data.files:
        raise UserError("data.files lacks 'archive'; set data.files.archive.name to the zip archive's name")
    pairs = _pairs(data)
    idx_pairs.splits(pairs)
    source = locate(data.model_copy(update={"files": {_ROLE: data.files[_ROLE]}}))
    return replace(source, taken=tuple(sorted(f"{role}:{file.name}" for role, file in pairs.files.items())))


def read(source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
    """The pictures of each official split, upright, in the order of the files.

    Labels that count from 1, as those of the letters, are moved to count from 0.

    Raises:
        UserError: The config names other members than the archive has, or another size of pictures.
        RunError: The archive or a member is damaged, or images and labels do not fit together.
    """
    pairs, path = _pairs(data), source.files.get(_ROLE)
    if path is None:
        raise UserError("the source has no archive of EMNIST; run `kedro run --pipelines=ingest` with this config")
    for split in idx_pairs.splits(pairs):
        images, labels = (pairs.files[f"{split}_{kind}"].name for kind in ("images", "labels"))
        pixels = np.ascontiguousarray(_member(path, images, 3).transpose(0, 2, 1))
        numbers = _member(path, labels, 1)
        if len(numbers) and numbers.min() == 1 and numbers.max() == len(class_names(source, data)):
            numbers = numbers - np.uint8(1)
        yield idx_pairs.paired(path / images, path / labels, pixels, numbers, data, split)


def class_names(source: SourceFiles, data: DataConfig) -> list[str]:
    """What the config calls the classes.

    Raises:
        UserError: The config does not name them.
    """
    return idx_pairs.class_names(source, data)


def _pairs(data: DataConfig) -> DataConfig:
    return data.model_copy(update={"files": {role: file for role, file in data.files.items() if role != _ROLE}})


def _member(path: Path, name: str, ndim: int) -> NDArray[np.uint8]:
    entries = list_zip(path)
    rows = [row for row, full in enumerate(entries.names) if full.rpartition("/")[2] == name]
    if not rows:
        raise UserError(f"data.files names '{name}' but '{path}' has no such member; it has {_some(entries.names)}")
    problem = entries.problems[rows[0]]
    if problem:
        raise RunError(f"'{path / name}' cannot be used: {problem}")
    members = entries.members(path)
    if members.sizes[rows[0]] > _MOST:  # a small archive could fill the memory
        raise broken(path, f"announces {int(members.sizes[rows[0]]):,} bytes of '{name}', more than any file of EMNIST")
    try:
        content = members.read(rows[0])
    except MemberError as error:
        raise broken(path, f"holds a {error} '{name}'") from None
    return read_idx(path / name, ndim, content)


def _some(names: list[str]) -> str:
    return ", ".join(sorted(name.rpartition("/")[2] for name in names)[:30])
