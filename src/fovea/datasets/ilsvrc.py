"""The pictures of the ILSVRC2012 archives: a tar archive of a tar archive for each class, and a flat one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.datasets.archives import Entries, distinct
from fovea.datasets.devkit import Devkit, labels_of
from fovea.datasets.samples import Samples, SplitName
from fovea.datasets.tars import Span, list_tar

_CLASS = re.compile(r"(?:^|/)(n\d{8})\.tar$")
_PICTURE = re.compile(r"(?:^|/)ILSVRC2012_val_(\d{8})\.JPEG$")


def training(path: Path, devkit: Devkit, wnids: Sequence[str]) -> Iterator[Samples]:
    """The official training pictures, class by class in the archive's order.

    Args:
        path: The tar archive of the classes' tar archives.
        devkit: What knows all classes.
        wnids: The classes that are wanted, in the order of their labels.

    Raises:
        RunError: The archive is damaged, another one, or has a class that the kit does not know.
    """
    outer = list_tar(path)
    found = [match[1] if (match := _CLASS.search(name)) else None for name in outer.names]
    if not any(found):
        raise RunError(
            f"'{path}' has no archives of classes, as n01440764.tar; it is not the archive of the training pictures, "
            "ILSVRC2012_img_train.tar"
        )
    strange = next((wnid for wnid in found if wnid is not None and wnid not in devkit.words), None)
    if strange is not None:
        raise RunError(
            f"'{path}' has class {strange}, which '{devkit.path.name}' does not know; they are of different years or "
            "sets: take ILSVRC2012_img_train.tar and ILSVRC2012_devkit_t12.tar.gz"
        )
    yield from _odd(path, outer, found)
    places = outer.members(path)
    for row, wnid in enumerate(found):
        if wnid in wnids and outer.problems[row] is None:
            begin = int(places.offset[row])
            shown = path / outer.names[row]
            inner = list_tar(path, Span(path, begin, begin + int(places.sizes[row]), shown))
            label = np.full(len(inner), wnids.index(wnid), np.int64)
            ids = [f"train/{wnid}/{name}" for name in inner.names]
            yield _samples(inner, path, "train", ids, label, f"{path.name}/{outer.names[row]}")


def validation(path: Path, devkit: Devkit, wnids: Sequence[str]) -> Iterator[Samples]:
    """The official validation pictures of the wanted classes, which serve as test pictures, by their numbers.

    Args:
        path: The tar archive.
        devkit: What knows the class of each picture.
        wnids: The classes that are wanted, in the order of their labels.

    Raises:
        RunError: The archive is damaged, or the kit does not label just its pictures.
    """
    entries = list_tar(path)
    numbers = np.array([int(match[1]) if (match := _PICTURE.search(name)) else 0 for name in entries.names], np.int64)
    there = np.unique(numbers[numbers > 0])
    count = len(devkit.truth)
    if not np.array_equal(there, np.arange(1, count + 1)):
        raise RunError(
            f"'{path}' has {len(there):,} validation pictures but '{devkit.path.name}' labels {count:,}; they are of "
            "different years or sets: take ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz"
        )
    yield from _odd(path, entries, [devkit.truth[number - 1] if number else None for number in numbers.tolist()])
    named = np.flatnonzero(numbers)
    named = named[np.argsort(numbers[named], kind="stable")]
    truth = [devkit.truth[number - 1] for number in numbers[named].tolist()]
    labels = labels_of(truth, wnids)
    kept = np.flatnonzero(labels >= 0)
    ids = [f"val/{truth[row]}/{entries.names[named[row]]}" for row in kept.tolist()]
    yield _samples(entries, path, "test", ids, labels[kept], path.name, named[kept])


def _samples(
    entries: Entries,
    path: Path,
    split: SplitName,
    ids: list[str],
    labels: NDArray[np.int64],
    shown: str,
    rows: NDArray[np.int64] | None = None,
) -> Samples:
    rows = np.arange(len(entries)) if rows is None else rows
    return Samples(
        ids=distinct(ids),
        members=[f"{shown}/{entries.names[row]}" for row in rows.tolist()],
        labels=labels,
        images=entries.members(path).take(rows),
        split=split,
        encoding="encoded",
        problems=[entries.problems[row] for row in rows.tolist()],
    )


def _odd(path: Path, entries: Entries, wnids: Sequence[str | None]) -> Iterator[Samples]:
    """Members of the outer archive that cannot be what it should hold, each with its problem."""
    rows = [
        row
        for row, wnid in enumerate(wnids)
        if wnid is None or (entries.problems[row] and _CLASS.search(entries.names[row]))
    ]
    if rows:
        picked = Entries([entries.names[row] for row in rows], [entries.problems[row] or "no_label" for row in rows])
        names = distinct(picked.names)
        yield Samples(
            ids=[f"{path.name}/{name}" for name in names],
            members=[f"{path.name}/{name}" for name in picked.names],
            labels=np.full(len(rows), -1, np.int64),
            images=entries.members(path).take(np.array(rows)),
            split=None,
            encoding="encoded",
            problems=picked.problems,
        )
