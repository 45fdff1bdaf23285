"""The results below `data/`: at any time all of one run, however many runs there are."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from fovea.core.locks import waiting
from fovea.core.places import WORK, project_root


class Folder(Protocol):
    """What can be put at a place, again and again."""

    def publish(self, target: Path) -> Any:
        """Puts the files at `target`, all at once."""


class Publication:
    """What one run puts below `data/`.

    From its first result to its end no other run puts any there. The folders of data, which come hours earlier, are put
    there once more at that time if another run has replaced them.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._has_begun = False
        self._folders: dict[Path, tuple[Folder, object]] = {}

    def add(self, folder: Folder, target: Path) -> None:
        """Keeps in mind that this run has put a folder of data at `target`."""
        self._folders[target] = folder, _identity(target)

    def begin(self) -> None:
        """To be called before each result; waits until no other run is between its first one and its end.

        Raises:
            RunError: A place cannot be written.
        """
        if self._has_begun:
            return
        lock = project_root() / WORK / ".publication.lock"
        self._stack.enter_context(waiting(lock, "writing of results below data/"))
        self._has_begun = True
        for target, (folder, identity) in self._folders.items():
            if _identity(target) != identity:
                folder.publish(target)

    def end(self) -> None:
        """Lets others write."""
        self._stack.close()
        self._has_begun = False
        self._folders = {}


def _identity(folder: Path) -> object:
    """What a folder that is put in the place of another has of its own; another process may do so at any time."""
    try:
        found = folder.stat()
    except OSError:
        return object()
    return found.st_ino, found.st_mtime_ns
