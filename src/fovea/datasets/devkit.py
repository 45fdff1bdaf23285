"""The development kit of ILSVRC2012: the classes, and the labels of the validation pictures.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge" (IJCV 2015).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError, UserError, nearest
from fovea.core.files import explained
from fovea.datasets.archives import broken, decoded
from fovea.datasets.tars import unpacked_members

_META, _TRUTH = "data/meta.mat", "data/ILSVRC2012_validation_ground_truth.txt"
_MOST = 64 << 20  # bytes of the whole kit unpacked; the official one has 12 MB
_COMPRESSED = 15  # of a MATLAB file's elements
_MAT_HEADER = 128


@dataclass(frozen=True)
class Devkit:
    """What the kit tells.

    Attributes:
        path: The kit.
        words: The synonyms of each class by its WordNet id, ids sorted.
        truth: For each validation picture, in the order of their numbers, its WordNet id.
    """

    path: Path
    words: Mapping[str, str]
    truth: Sequence[str]


def read_devkit(path: Path) -> Devkit:
    """The kit at `path`, a gzipped tar archive.

    Raises:
        RunError: It is damaged, or not the kit of 2012.
    """
    with explained(f"reading {path}"):
        files = unpacked_members(path, (_META, _TRUTH), _MOST)
    for name in (_META, _TRUTH):
        if name not in files:
            raise RunError(
                f"'{path}' has no {name}; it is not the development kit of ILSVRC2012 for tasks 1 and 2, "
                "ILSVRC2012_devkit_t12.tar.gz"
            )
    ids, words = _classes(path, files[_META])
    truth = _truth(path, files[_TRUTH], ids)
    return Devkit(path, {wnid: words[wnid] for wnid in sorted(words)}, truth)


def names_of(wnids: Sequence[str], words: Mapping[str, str]) -> list[str]:
    """A name for each class: its first synonym; where two would have the same, with the WordNet id behind it.

    Args:
        wnids: The classes.
        words: Synonyms by WordNet id, parted by commas; an id that is not there is its own name.
    """
    names = [words.get(wnid, wnid).partition(",")[0].strip() or wnid for wnid in wnids]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} ({wnid})" for name, wnid in zip(names, wnids, strict=True)]


def chosen(wanted: Sequence[str] | None, known: Sequence[str], where: str) -> list[str]:
    """The WordNet ids of the classes in the order of their labels: sorted, as torchvision and timm have them.

    Args:
        wanted: `data.wnids`; None: all.
        known: Those that there are.
        where: What knows them, for the message.

    Raises:
        UserError: One is wanted that is not known, or wanted twice.
    """
    if wanted is None:
        return sorted(known)
    unknown = next((wnid for wnid in wanted if wnid not in set(known)), None)
    if unknown is not None:
        raise UserError(f"data.wnids has '{unknown}' but {where} has no such class{_near(unknown, known)}")
    twice = next((wnid for wnid, count in Counter(wanted).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"data.wnids has '{twice}' twice; name each class once")
    return sorted(wanted)


def _near(unknown: str, known: Sequence[str]) -> str:
    return nearest(unknown, known) if len(known) <= 20 else f"; it has {len(known):,} others"


def _classes(path: Path, content: bytes) -> tuple[dict[int, str], dict[str, str]]:
    """WordNet ids by the kit's own numbers, and synonyms by WordNet id; classes without children only."""
    from scipy.io import loadmat

    _check_growth(path, content)
    try:
        synsets = loadmat(io.BytesIO(content), squeeze_me=True)["synsets"]
        rows = [tuple(synset[name] for name in _FIELDS) for synset in np.atleast_1d(synsets)]
        leaves = [(int(number), str(wnid), str(words)) for number, wnid, words, children in rows if int(children) == 0]
    except Exception as error:  # a damaged file makes loadmat raise whatever it likes
        raise broken(path, f"is damaged: its meta.mat cannot be read ({type(error).__name__})") from error
    return {number: wnid for number, wnid, _ in leaves}, {wnid: words for _, wnid, words in leaves}


_FIELDS = ("ILSVRC2012_ID", "WNID", "words", "num_children")


def _check_growth(path: Path, content: bytes) -> None:
    """Refuses a MATLAB file (version 5) whose compressed elements would grow beyond all measure."""
    order = ">" if content[_MAT_HEADER - 2 : _MAT_HEADER] == b"MI" else "<"
    at, grown = _MAT_HEADER, 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}2I", content, at)
        if kind == _COMPRESSED:
            inflater = zlib.decompressobj()
            try:
                grown += len(inflater.decompress(content[at + 8 : at + 8 + size], _MOST - grown + 1))
            except zlib.error:
                return  # loadmat tells
            if grown > _MOST:
                raise broken(path, f"is no development kit: its meta.mat unpacks to more than {_MOST >> 20} MB")
        at += 8 + size


def _truth(path: Path, content: bytes, ids: Mapping[int, str]) -> list[str]:
    lines = decoded(content).split()
    wrong: Any = next(
        (line for line in lines if not (line.isascii() and line.isdigit() and len(line) < 7 and int(line) in ids)), None
    )
    if wrong is not None:
        raise RunError(
            f"'{path}' labels a validation picture with class {wrong[:20]!r}, which its meta.mat does not have; it is "
            "damaged or of another year: take ILSVRC2012_devkit_t12.tar.gz"
        )
    return [ids[int(line)] for line in lines]


def labels_of(wnids: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The label of each WordNet id, -1 for one that is not among the classes; int64 of shape [N]."""
    numbers = {wnid: number for number, wnid in enumerate(classes)}
    return np.array([numbers.get(wnid, -1) for wnid in wnids], np.int64)
