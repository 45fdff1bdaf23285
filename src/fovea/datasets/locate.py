"""The files that a config names: in the user's own folder where it names one, else in the folder of raw data."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.errors import RunError, UserError
from fovea.core.files import explained
from fovea.core.places import from_home, shared_root
from fovea.datasets.fetch import Fetched, MissingError, fetch, in_place
from fovea.datasets.mirrors import VARIABLE, mirrors
from fovea.datasets.source import SourceFiles, collect, raw_folder
from fovea.datasets.wanted import Wanted

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig


def locate(data: DataConfig, *, store: str | None = None, hint: str = "") -> SourceFiles:
    """The verified files of `data.files`: those of `data.folder` in place, else fetched ones.

    Args:
        data: The data set.
        store: Name of the folder of raw data and of the mirrors' folder; None: the data set's own name.
        hint: Where a user gets the files, as in ``"they are offered at https://..."``.

    Raises:
        UserError: `data.folder` is no folder or lacks a file, or a mirror is no folder or address.
        RunError: A file is damaged or cannot be had; the disk is full or not writable.
    """
    folder = raw_folder(store or data.name)
    wanted = {role: Wanted(file.name, file.bytes, file.md5, file.sha256) for role, file in data.files.items()}
    if data.folder is not None:
        return _in_place(data, user_folder(data.folder), folder, wanted, hint)
    files: list[tuple[str, Fetched]] = []
    missing: list[MissingError] = []
    places = partial(mirrors, store or data.name, data.mirrors)
    for role, one in wanted.items():
        try:
            files.append((role, fetch(one, folder, places)))
        except MissingError as error:
            missing.append(error)
    if missing:
        raise _missing(missing, folder, hint)
    return collect(data.name, folder, files)


def user_folder(name: str) -> Path:
    """The folder that `data.folder` names: absolute, from the home folder (``~``), or from the project's root.

    Raises:
        UserError: There is no such folder, or it cannot be read.
    """
    folder = Path(os.path.normpath(shared_root() / from_home(name)))
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise UserError(f"data.folder is '{name}' but '{folder}' {what}; set data.folder to the folder of your files")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"data.folder is '{name}' but '{folder}' cannot be read; make it readable for this user")
    return folder


def _in_place(data: DataConfig, folder: Path, notes: Path, wanted: dict[str, Wanted], hint: str) -> SourceFiles:
    files, missing = [], []
    with explained(f"making {notes}"):
        notes.mkdir(parents=True, exist_ok=True)
    for role, one in wanted.items():
        if found := in_place(one, folder, notes):
            files.append((role, found))
        else:
            missing.append(one.name)
    if missing:
        named = listed(missing)
        raise UserError(
            f"{named} {_are(missing)} not in '{folder}', which data.folder names{f'; {hint}' if hint else ''}; put "
            f"{_them(missing)} there, or correct data.folder or data.files"
        )
    return collect(data.name, notes, files)


def _missing(missing: list[MissingError], folder: Path, hint: str) -> RunError:
    if len(missing) == 1 and not hint:
        return missing[0]
    names = [error.name for error in missing]
    reasons = list(dict.fromkeys(f"{error.name}: {reason}" for error in missing for reason in error.reasons))
    tried = f"could not be had ({'; '.join(reasons)})" if reasons else f"{_are(names)} not there"
    return RunError(
        f"{listed(names)} {tried}{f'; {hint}' if hint else ''}; put {_them(names)} into '{folder}', or set data.folder "
        f"to the folder that has {_them(names)}, or {VARIABLE} to one that has {folder.name}/{names[0]}"
    )


def listed(names: list[str]) -> str:
    """The names in words: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _are(names: list[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _them(names: list[str]) -> str:
    return "them" if len(names) > 1 else "it"
