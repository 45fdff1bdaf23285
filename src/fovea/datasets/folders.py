"""Folders of pictures: what lies in them, class by class."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fovea.core.errors import UserError
from fovea.datasets.archives import decoded
from fovea.datasets.samples import SplitName

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """Pictures of one class and split.

    Attributes:
        label: The class.
        split: The source's own split, or None.
        paths: Their files, relative to the folder of the data set, as the file system names them.
        problems: Of each, one of `fovea.datasets.samples.PROBLEMS` or None.
        ids: What names each in the data set; None: its path.
    """

    label: str
    split: SplitName | None
    paths: list[bytes]
    problems: list[str | None]
    ids: list[str] | None = None


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in `folder`, sorted; hidden ones are none, links are told and passed over.

    Raises:
        UserError: It cannot be read, or a folder's name is not UTF-8.
    """
    names = []
    for entry in _scan(os.fsencode(folder)):
        if entry.is_dir(follow_symlinks=False):
            names.append(_name(entry))
        elif _leads_to_folder(entry):
            _pass_over(entry)
    return names


def _leads_to_folder(entry: os.DirEntry[bytes]) -> bool:
    """False of a link that leads in a circle, or to where this user may not look."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _name(entry: os.DirEntry[bytes]) -> str:
    try:
        return entry.name.decode()
    except UnicodeDecodeError:
        raise UserError(f"the name of the folder '{decoded(entry.path)}' is not UTF-8; give it another") from None


def loose_files(folder: Path) -> int:
    """How many files that are not hidden lie in `folder` itself."""
    return sum(not _leads_to_folder(entry) for entry in _scan(os.fsencode(folder)))


def walk(base: Path, start: Path) -> tuple[list[bytes], list[str | None]]:
    """All files below `start`, sorted folder by folder, and what speaks against each.

    Hidden files and folders are passed over. A link to a file is followed only within `base`; links to folders are
    told and passed over.

    Args:
        base: The folder of the data set, which the paths are relative to.
        start: The folder to walk through.

    Raises:
        UserError: A folder cannot be read.
    """
    root = os.fsencode(base)
    real = os.path.realpath(root)
    paths: list[bytes] = []
    problems: list[str | None] = []
    for entry in _files(os.fsencode(start)):
        paths.append(os.path.relpath(entry.path, root))
        problems.append(None if _is_inside(entry.path, real) else "not_a_file")
    return paths, problems


def _is_inside(path: bytes, real: bytes) -> bool:
    """Whether the path is, or leads to, a plain file within the folder `real`."""
    try:
        state = os.lstat(path)
        if stat.S_ISLNK(state.st_mode):
            target = os.path.realpath(path)
            return target.startswith(real + b"/") and stat.S_ISREG(os.lstat(target).st_mode)
    except OSError:
        return False
    return stat.S_ISREG(state.st_mode)


def is_within(base: Path, path: bytes) -> bool:
    """Whether a path, relative to `base`, stays within it when links are followed."""
    real = os.path.realpath(os.fsencode(base))
    return os.path.realpath(os.path.join(real, path)).startswith(real + b"/")  # noqa: PTH118


def _files(folder: bytes) -> Iterator[os.DirEntry[bytes]]:
    for entry in _scan(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        elif entry.is_symlink() and _leads_to_folder(entry):
            _pass_over(entry)
        else:
            yield entry


def _scan(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(b".")), key=lambda one: one.name)
    except OSError as error:
        raise UserError(
            f"'{os.fsdecode(folder)}' cannot be read ({error.strerror}); make it readable for this user"
        ) from None


def _pass_over(entry: os.DirEntry[bytes]) -> None:
    _LOG.warning("'%s' is a link to a folder and is passed over; put the folder itself there", os.fsdecode(entry.path))
