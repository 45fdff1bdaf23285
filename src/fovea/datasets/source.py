"""The handle of a source: the publisher's files as they are, verified, and where each came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from fovea.core.digest import data_digest
from fovea.core.errors import RunError, UserError
from fovea.core.files import atomic_directory, link_or_copy
from fovea.core.places import RAW, shared_root
from fovea.datasets.fetch import Fetched
from fovea.datasets.wanted import plain_name

_NOTE = "source.json"
_WAY_OUT = "run `kedro run --pipelines=ingest`"


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        role: What it is in the data set, as in ``train_images``.
        name: Its name in the folder.
        bytes: Its size.
        sha256: Hex digest of its bytes.
        origin: The mirror or package that it came from.
        place: The absolute folder of a file that is used where it lies; None: the source's own folder.
    """

    role: str
    name: str
    bytes: int
    sha256: str
    origin: str
    place: str | None = None

    def note(self) -> dict[str, Any]:
        """What is written of it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def path(self, folder: Path) -> Path:
        """Where it lies, for a source in `folder`."""
        return (Path(self.place) if self.place else folder) / self.name


@dataclass(frozen=True)
class SourceFiles:
    """The files of a source in a folder.

    Attributes:
        path: The folder.
        name: The data set's name.
        entries: The files, in the order of their roles.
        pictures: The absolute folder that holds the pictures of a listing; None where the files hold them.
        taken: What is taken out of the files, where that is not all, as in WordNet ids; a part of the digest.
        fetched: Names of those that were fetched just now; not part of what is written.
    """

    path: Path
    name: str
    entries: tuple[SourceFile, ...]
    pictures: Path | None = None
    taken: tuple[str, ...] = ()
    fetched: tuple[str, ...] = field(default=(), compare=False)

    @property
    def files(self) -> dict[str, Path]:
        """The path of each role."""
        return {entry.role: entry.path(self.path) for entry in self.entries}

    @property
    def digest(self) -> str:
        """Hex sha256 over roles, names, contents and what is taken; where the files came from does not matter."""
        entries = [[entry.role, entry.name, entry.sha256] for entry in self.entries]
        return data_digest(entries if not self.taken else [*entries, ["taken", *self.taken]])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.bytes for entry in self.entries)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The source that was published at `path`.

        Raises:
            RunError: There is no such folder, its note cannot be read, or a file is missing or of another size.
        """
        note = path / _NOTE
        try:
            content = json.loads(note.read_text())
            entries = tuple(SourceFile(**entry) for entry in content["files"])
            pictures = Path(content["pictures"]) if "pictures" in content else None
            source = cls(path, str(content["name"]), entries, pictures, tuple(map(str, content.get("taken", ()))))
            for entry in entries:
                plain_name(entry.name, f"a file in {note}")
            found = {entry.name: entry.path(path).stat().st_size for entry in entries}
        except FileNotFoundError as error:
            raise RunError(f"'{error.filename}' is missing; {_WAY_OUT}") from error
        except (OSError, ValueError, KeyError, TypeError, UserError) as error:
            raise RunError(f"'{note}' cannot be read ({error}); {_WAY_OUT}") from error
        for entry in entries:
            if found[entry.name] != entry.bytes:
                raise RunError(
                    f"'{entry.path(path)}' has {found[entry.name]:,} bytes instead of {entry.bytes:,}; {_WAY_OUT}"
                )
        return source

    def publish(self, target: Path) -> None:
        """Puts hard links (or copies) of the files, and a note of them, in the place of the folder `target`.

        A file that is used where it lies stays there; the note says where.

        Raises:
            RunError: The disk is full, read-only or not writable, or a file has gone.
        """
        with atomic_directory(target) as temporary:
            for entry in self.entries:
                if entry.place:
                    continue
                try:
                    link_or_copy(self.path / entry.name, temporary / entry.name)
                except FileNotFoundError as error:
                    raise RunError(f"'{self.path / entry.name}' is not there any more; {_WAY_OUT}") from error
            content: dict[str, Any] = {"name": self.name, "files": [entry.note() for entry in self.entries]}
            if self.pictures is not None:
                content["pictures"] = str(self.pictures)
            if self.taken:
                content["taken"] = list(self.taken)
            (temporary / _NOTE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def raw_folder(data_name: str) -> Path:
    """Where the downloads of a data set are kept for ever.

    Raises:
        UserError: The name cannot be a folder's.
    """
    return shared_root() / RAW / plain_name(data_name, "data.name")


def collect(
    data_name: str, folder: Path, files: Sequence[tuple[str, Fetched]], pictures: Path | None = None
) -> SourceFiles:
    """The handle of fetched files, given as pairs of role and file.

    Args:
        data_name: The data set's name.
        folder: The folder of the files that do not lie elsewhere.
        files: Role and file.
        pictures: The absolute folder that holds the pictures of a listing.

    Raises:
        UserError: Two roles have the same file.
    """
    names = [file.path.name for _, file in files]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"data.files names '{name}' for two roles; each role has its own file")
    entries = tuple(
        SourceFile(
            role,
            file.path.name,
            file.facts.bytes,
            file.facts.sha256,
            file.origin,
            None if file.path.parent == folder else str(file.path.parent),
        )
        for role, file in sorted(files, key=lambda pair: pair[0])
    )
    return SourceFiles(
        folder, data_name, entries, pictures, fetched=tuple(file.path.name for _, file in files if file.fresh)
    )
