"""A user's own pictures: a folder for each class, or a CSV table of paths and labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.errors import UserError, nearest
from fovea.datasets import listing
from fovea.datasets.folders import Group, loose_files, subfolders, walk
from fovea.datasets.locate import listed, user_folder
from fovea.datasets.samples import SPLITS, Samples, SplitName
from fovea.datasets.source import SourceFiles, collect, raw_folder
from fovea.datasets.tables import read_table

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig

_LOG = logging.getLogger(__name__)
# What others call the folders of splits; two of them are seldom classes.
_LIKE_SPLITS = frozenset({*SPLITS, "training", "valid", "validation", "dev", "testing"})


def ingest(data: DataConfig) -> SourceFiles:
    """Lists the pictures; they stay where they are.

    Folders ``train``, ``val`` and ``test`` on top, and nothing else, are official splits. Where there is no test split,
    the validation split is it, and validation pictures are cut out of the training split, as of ImageNet.

    Raises:
        UserError: There is no such folder or table, folders of splits have other names or others beside them, a class
            has no pictures, there is one class only, or the config names other classes.
        RunError: The disk is full or not writable.
    """
    if data.folder is None:
        raise UserError("data.folder is null but names where your pictures lie: set data.folder=<folder>")
    folder = user_folder(data.folder)
    groups = _class_folders(folder) if data.table is None else read_table(folder, data.table)
    where = f"'{folder}'" if data.table is None else f"data.table '{data.table}'"
    _check(groups, data.classes, where)
    groups = _with_test(groups, where)
    store = raw_folder(data.name)
    return collect(data.name, store, [(listing.ROLE, listing.make(folder, groups, store))], pictures=folder)


def read(source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
    """The pictures, class by class; those of a split together.

    Raises:
        UserError: The config names other classes than the source has.
        RunError: The listing cannot be read.
    """
    found = listing.labels(source)
    classes = found if data.classes is None else data.classes
    _check_names(found, classes, f"'{source.pictures}'")
    yield from listing.read(source, classes)


def class_names(source: SourceFiles, data: DataConfig) -> list[str]:
    """The names of the folders, or the labels of the table, sorted.

    Raises:
        RunError: The listing cannot be read.
    """
    return listing.labels(source) if data.classes is None else list(data.classes)


def _class_folders(folder: Path) -> list[Group]:
    top = subfolders(folder)
    if not top:
        raise UserError(
            f"'{folder}' has no folders; put the pictures of each class into a folder of the class's name, or set "
            "data.table to a CSV file of path and label"
        )
    if set(top) <= set(SPLITS) and "train" in top:
        return [group for split in SPLITS if split in top for group in _groups(folder, folder / split, split)]
    _check_splits(folder, top)
    loose = loose_files(folder)
    if loose:
        _LOG.warning("%s files lie in '%s' itself, in no folder of a class, and are passed over", f"{loose:,}", folder)
    return _groups(folder, folder, None)


def _check_splits(folder: Path, top: Sequence[str]) -> None:
    """Refuses splits that would be taken for classes: a network would learn to tell training from test pictures."""
    alike = [name for name in top if name.lower() in _LIKE_SPLITS]
    if len(alike) > 1 and all(subfolders(folder / name) and not loose_files(folder / name) for name in alike):
        raise UserError(
            f"'{folder}' has the folders {listed([repr(name) for name in top[:5]])}, which hold folders of classes "
            "themselves; call the splits train, val and test and move all others away"
        )


def _groups(folder: Path, start: Path, split: SplitName | None) -> list[Group]:
    names = subfolders(start)
    if not names:
        raise UserError(f"'{start}' has no folders of classes; put the pictures of each class into one of its name")
    return [Group(name, split, *walk(folder, start / name)) for name in names]


def _with_test(groups: list[Group], where: str) -> list[Group]:
    splits = {group.split for group in groups}
    if "test" in splits or "val" not in splits:
        return groups
    _LOG.info("%s has no test split: its validation pictures are the test, and others are taken out of train", where)
    return [replace(group, split="test") if group.split == "val" else group for group in groups]


def _check(groups: Sequence[Group], classes: Sequence[str] | None, where: str) -> None:
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.label] = counts.get(group.label, 0) + len(group.paths)
    names = sorted(counts)
    empty = [name for name in names if not counts[name]]
    if empty:
        raise UserError(
            f"{where} has no pictures of {listed([repr(name) for name in empty[:5]])}; put some into the folder, or "
            "remove it"
        )
    if len(names) < 2:
        raise UserError(f"{where} has one class only, '{names[0]}'; a network needs two or more to tell apart")
    if classes is not None:
        _check_names(names, classes, where)


def _check_names(found: Sequence[str], classes: Sequence[str], where: str) -> None:
    for name in found:
        if name not in classes:
            raise UserError(f"{where} has class '{name}', which data.classes does not name{nearest(name, classes)}")
    for name in classes:
        if name not in found:
            raise UserError(f"data.classes names '{name}' but {where} has no such class{nearest(name, found)}")
