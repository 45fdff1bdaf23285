"""A folder that a stage hands to the next one."""

from __future__ import annotations

import atexit
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from fovea.core.errors import RunError
from fovea.core.files import publish_directory, scratch_directory


@dataclass(frozen=True)
class FolderHandle:
    """A folder that is known by one file in it.

    Attributes:
        path: The folder.
        kind: What it is, for messages.
        mark: The file without which it is not one.
        stage: The stage that makes it.
    """

    path: Path
    kind: ClassVar[str]
    mark: ClassVar[str]
    stage: ClassVar[str]

    @classmethod
    def open(cls, path: Path) -> Self:
        """The handle of a finished folder.

        Raises:
            RunError: There is no such folder, or it is something else.
        """
        if not (path / cls.mark).is_file():
            way_out = f"make it with `kedro run --pipelines={cls.stage}`"
            raise RunError(f"'{path}' is not {cls.kind}: it has no {cls.mark}; {way_out}")
        return cls(path)

    @classmethod
    def scratch(cls) -> Self:
        """An empty temporary folder to fill, gone with the process: publish it to keep what is in it."""
        path = scratch_directory()
        atexit.register(shutil.rmtree, path, ignore_errors=True)
        return cls(path)

    def publish(self, target: Path) -> None:
        """Puts the folder's files at `target`, in the place of what is there.

        Raises:
            RunError: The disk is full, read-only or not writable.
        """
        publish_directory(self.path, target)
