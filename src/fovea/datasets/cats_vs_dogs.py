"""Cats and dogs: Microsoft's ``kagglecatsanddogs_5340.zip`` and Kaggle's ``train.zip``, told apart by their content.

Elson, Douceur, Howell and Saul, "Asirra: a CAPTCHA that exploits interest-aligned manual image categorization" (CCS
2007).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError, UserError, nearest
from fovea.datasets.archives import Entries, distinct, is_litter
from fovea.datasets.locate import locate
from fovea.datasets.samples import Samples
from fovea.datasets.source import SourceFiles
from fovea.datasets.zips import list_zip

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig

_ROLE = "archive"
_CLASSES = ("cat", "dog")
_KAGGLE = re.compile(r"(?:^|/)(cat|dog)\.\d+\.[^./]+$")
_UNKNOWN, _NO_PICTURE = -1, -2


def ingest(data: DataConfig) -> SourceFiles:
    """Finds or fetches the archive.

    Raises:
        UserError: The config names other files than one `archive`, or other classes than cat and dog.
        RunError: The archive cannot be had.
    """
    for role in data.files:
        if role != _ROLE:
            raise UserError(f"data.files has '{role}'{nearest(role, [_ROLE])}")
    if _ROLE not in data.files:
        raise UserError("data.files lacks 'archive'; set data.files.archive.name to the zip archive's name")
    _names(data)
    return locate(
        data,
        hint="it is offered at https://www.microsoft.com/download/details.aspx?id=54765 and, as train.zip, at "
        "https://www.kaggle.com/c/dogs-vs-cats",
    )


def read(source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
    """The cats, then the dogs, in the archive's order; there is no official split.

    Everything in a folder of a class is a picture, whatever its name; what lies elsewhere (a licence) is not. A member
    whose name leads out of the archive is told, wherever it lies.

    Raises:
        UserError: The source has no such archive, or the config names other classes.
        RunError: The archive is damaged, or none of the two that are known.
    """
    path = source.files.get(_ROLE)
    if path is None:
        raise UserError(
            "the source has no archive of cats and dogs; run `kedro run --pipelines=ingest` with this config"
        )
    names = _names(data)
    entries = list_zip(path)
    labels = _labels(path, entries, [name.lower() for name in names])
    ids, members = distinct(entries.names), entries.members(path)
    for number in (*range(len(names)), _UNKNOWN):
        rows = np.flatnonzero(labels == number)
        if len(rows):
            yield Samples(
                ids=[ids[row] for row in rows.tolist()],
                members=[f"{path.name}/{entries.names[row]}" for row in rows.tolist()],
                labels=labels[rows],
                images=members.take(rows),
                encoding="encoded",
                problems=[entries.problems[row] for row in rows.tolist()],
            )


def class_names(source: SourceFiles, data: DataConfig) -> list[str]:
    """Cat and dog, as the config writes and orders them.

    Raises:
        UserError: The config names other classes.
    """
    return _names(data)


def _names(data: DataConfig) -> list[str]:
    names = list(_CLASSES) if data.classes is None else list(data.classes)
    if sorted(name.lower() for name in names) != list(_CLASSES):
        raise UserError(f"data.classes is {names} but the pictures are of cats and dogs; set data.classes=[cat,dog]")
    return names


def _labels(path: Path, entries: Entries, classes: Sequence[str]) -> NDArray[np.int64]:
    """The label of each member; `_UNKNOWN` where a name is unsafe, `_NO_PICTURE` for what is to be passed over."""
    of_folder = [_of_folder(name) for name in entries.names]
    of_name = [_of_name(name) for name in entries.names]
    found = of_folder if any(of_folder) else of_name
    if not any(found):
        raise RunError(
            f"'{path}' holds neither PetImages/Cat and PetImages/Dog nor pictures named cat.0.jpg and dog.0.jpg; take "
            "kagglecatsanddogs_5340.zip, or the train.zip that lies in Kaggle's dogs-vs-cats.zip"
        )
    labels = np.full(len(entries), _NO_PICTURE, np.int64)
    for row, (name, problem) in enumerate(zip(found, entries.problems, strict=True)):
        if name is not None:
            labels[row] = classes.index(name)
        elif problem == "unsafe_name":
            labels[row] = _UNKNOWN
    return labels


def _of_folder(name: str) -> str | None:
    # A backslash parts folders only where nothing else does: it also begins a byte that is not UTF-8.
    plain = name if "/" in name else name.replace("\\", "/")
    folder = plain.rpartition("/")[0].rpartition("/")[2].lower()
    return folder if folder in _CLASSES and not is_litter(name) else None


def _of_name(name: str) -> str | None:
    match = _KAGGLE.search(name)
    return match[1] if match and not is_litter(name) else None
