"""Prepared data parted for k-fold cross-validation (Hastie, Tibshirani and Friedman 2009, section 7.10)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.digest import data_digest
from fovea.core.errors import UserError
from fovea.datasets.samples import SPLITS, SplitName
from fovea.shards.prepared import PreparedData
from fovea.shards.reader import Part, Split
from fovea.shards.selection import Selection

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Parting:
    """How pictures are parted.

    Attributes:
        folds: Into so many folds.
        splits: The splits of the prepared data that are put together before.
        seed: Another one parts them differently.
    """

    folds: int
    splits: tuple[SplitName, ...]
    seed: int


@dataclass(frozen=True)
class Fold(PreparedData):
    """Prepared data of which one fold serves for validation and the others for training.

    `split("train")` and `split("val")` give a `Selection` of the splits of `origin`. The test split is that of
    `origin`, or empty where its pictures are parted too. `meta.digest` is the fold's own.

    Attributes:
        base: The data as they were prepared.
        number: Of the fold that is held out, from 1.
        parting: How the pictures are parted.
        numbers: The fold of each row of the splits of `parting.splits`.
    """

    base: PreparedData = field(compare=False, repr=False)
    number: int
    parting: Parting
    numbers: Mapping[SplitName, Ints] = field(compare=False, repr=False)

    @property
    def origin(self) -> PreparedData:
        """The data as they were prepared."""
        return self.base

    @property
    def address(self) -> dict[str, Any]:
        """What `reopen` opens the same fold by."""
        parting = {"folds": self.parting.folds, "splits": list(self.parting.splits), "seed": self.parting.seed}
        return {**self.base.address, "fold": {"number": self.number, **parting}}

    def split(self, name: str) -> Split:
        """train: all folds but one; val: that one; test: the test split of `origin` where it is not parted."""
        if name == "test" and name not in self.parting.splits:
            return self.base.split(name)
        if name not in SPLITS:
            return self.base.split(name)  # which refuses it
        return Selection(name, [self._part(split, name) for split in self.parting.splits])

    def _part(self, split: SplitName, use: SplitName) -> Part:
        is_held_out = self.numbers[split] == self.number
        chosen = {"train": ~is_held_out, "val": is_held_out, "test": np.zeros_like(is_held_out)}[use]
        return self.base.split(split), np.flatnonzero(chosen)


def folds_of(prepared: PreparedData, parting: Parting) -> list[Fold]:
    """The folds of prepared data.

    The pictures of each class are put in the order of a hash of their content and the seed, and that order is cut into
    equal pieces. So every fold has its share of each class, up to one picture (or one group); a picture that is added
    moves no more than one other at each cut. Pictures that are copies of each other, or near ones by
    `prepare.near_distance`, are a group and share a fold.

    Raises:
        UserError: A class has fewer pictures (or groups) than there are folds.
    """
    splits = tuple(name for name in SPLITS if name in parting.splits)
    parting = replace(parting, splits=splits)
    opened = {name: prepared.split(name) for name in splits}
    joined = Selection("train", [part for split in opened.values() for part in split.parts])
    content, group = _contents(prepared, joined)
    numbers = assign(content, joined.labels, group, parting.folds, parting.seed)
    _check(numbers, joined.labels, prepared.meta.classes, parting)
    cuts = np.cumsum([len(split) for split in opened.values()])[:-1]
    by_split = dict(zip(opened, np.split(numbers, cuts), strict=True))
    return [_fold(prepared, number, parting, by_split) for number in range(1, parting.folds + 1)]


def reopen(address: Mapping[str, Any]) -> PreparedData:
    """The prepared data, or the fold of them, that an `address` (`PreparedData.address`) names.

    Raises:
        UserError: The fold cannot be made.
        RunError: There are no prepared data.
    """
    prepared = PreparedData.open(Path(address["prepared"]))
    fold = address.get("fold")
    if fold is None:
        return prepared
    folds: list[Fold] = folds_of(prepared, Parting(fold["folds"], tuple(fold["splits"]), fold["seed"]))
    return folds[int(fold["number"]) - 1]


def assign(content: Sequence[bytes], labels: Ints, group: Ints, folds: int, seed: int) -> Ints:
    """The fold of each picture, int64 [N] of 1 to `folds`.

    Args:
        content: For each picture what stands for its content.
        labels: int64 [N].
        group: int64 [N], for each picture the row of the first one of its group.
        folds: Their number.
        seed: Of the hash.
    """
    start = b"fovea fold %d " % seed
    digests = [hashlib.sha256(start + content[row]).digest()[:8] for row in range(len(content))]
    place = np.full(len(group), np.iinfo(np.uint64).max)
    np.minimum.at(place, group, np.frombuffer(b"".join(digests), ">u8").astype(np.uint64))
    place = place[group]
    order = np.lexsort((group, place, labels[group]))
    sizes = np.bincount(group, minlength=len(group))
    numbers = np.zeros(len(group), np.int64)
    for label in np.unique(labels[group]).tolist():
        rows = order[labels[group[order]] == label]
        first = np.searchsorted(place[rows], place[rows], side="left")
        middle = first + sizes[group[rows]] / 2  # a group lies where its middle does
        numbers[rows] = 1 + np.minimum(folds - 1, middle * folds // len(rows)).astype(np.int64)
    return numbers


def _contents(prepared: PreparedData, joined: Selection) -> tuple[list[bytes], Ints]:
    """What stands for each picture's content, and the row of the first picture of its group."""
    table = prepared.manifest().set_index("id").loc[list(joined.ids), ["sha256", "phash", "dhash"]]
    content = [str(text).encode() for text in table["sha256"]]
    first: dict[bytes, int] = {}
    copies = [(row, first.setdefault(text, row)) for row, text in enumerate(content)]
    pairs = [np.array([pair for pair in copies if pair[0] != pair[1]], np.int64).reshape(-1, 2)]
    if table["phash"].notna().any():
        from fovea.pictures.near import near_duplicates

        known = np.flatnonzero(table["phash"].notna())
        phash, dhash = (_numbers(table[name].iloc[known]) for name in ("phash", "dhash"))
        # Pictures of equal hashes are copies in another format or compression, whether near ones are looked for or not.
        distance = prepared.meta.settings["prepare"]["near_distance"] or 0
        pairs.append(known[near_duplicates(phash, dhash, distance)].reshape(-1, 2))
    return content, groups(len(content), np.concatenate(pairs))


def _numbers(hexadecimal: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([int(text, 16) for text in hexadecimal], np.uint64)


def groups(count: int, pairs: Ints) -> Ints:
    """For each of `count` rows the least row that pairs, int64 [P, 2], connect it with; int64 [count]."""
    root = np.arange(count, dtype=np.int64)
    while True:
        low = root[pairs].min(axis=1, initial=count)
        new = root.copy()
        np.minimum.at(new, pairs[:, 0], low)
        np.minimum.at(new, pairs[:, 1], low)
        new = new[new]
        if np.array_equal(new, root):
            return root
        root = new


def _check(numbers: Ints, labels: Ints, classes: Sequence[str], parting: Parting) -> None:
    found = [len(np.unique(numbers[labels == label])) for label in range(len(classes))]
    least = int(np.argmin(found))
    if found[least] < parting.folds:
        count = int((labels == least).sum())
        raise UserError(
            f"crossval.folds={parting.folds}, but class '{classes[least]}' has {count} pictures (copies count as one) "
            f"in the splits {', '.join(parting.splits)}, too few for one in each fold; take crossval.folds="
            f"{max(2, found[least])} or more pictures"
        )


def _fold(base: PreparedData, number: int, parting: Parting, numbers: Mapping[SplitName, Ints]) -> Fold:
    held_out = {name: numbers[name] == number for name in parting.splits}
    rows = hashlib.sha256(b"".join(held_out[name].tobytes() for name in parting.splits)).hexdigest()
    digest = data_digest({"prepared": base.meta.digest, "splits": parting.splits, "held out": rows})
    val = sum(int(chosen.sum()) for chosen in held_out.values())
    counts = {
        "train": sum(map(len, held_out.values())) - val,
        "val": val,
        "test": 0 if "test" in parting.splits else base.meta.counts["test"],
    }
    meta = replace(base.meta, digest=digest, counts=counts)
    return Fold(base.path, meta, base, number, parting, numbers)
