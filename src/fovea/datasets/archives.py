"""What an archive lists: columns of names and places, and what speaks against a member before it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.datasets.members import PLAIN, Members

_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass
class Entries:
    """The members of an archive that are not folders, in the archive's order, filled row by row.

    Attributes:
        names: As the archive has them; bytes that are not UTF-8 with a backslash and their number.
        problems: Of each, one of `fovea.datasets.samples.PROBLEMS` or None.
    """

    names: list[str] = field(default_factory=list)
    problems: list[str | None] = field(default_factory=list)
    _places: list[tuple[int, int, int, int, bool, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def add(
        self,
        name: str,
        problem: str | None,
        offset: int,
        stored: int,
        size: int,
        *,
        kind: int = PLAIN,
        zipped: bool = False,
        crc: int = -1,
    ) -> None:
        """Appends a row; the fields are those of `Members`."""
        self.names.append(name)
        self.problems.append(problem or ("unsafe_name" if is_unsafe(name) else None))
        self._places.append((offset, stored, size, kind, zipped, crc))

    def members(self, path: Path) -> Members:
        """Where they lie in the file `path`."""
        columns = np.array(self._places, np.int64).reshape(-1, 6).T
        offset, stored, sizes, kind, zipped, crc = (np.ascontiguousarray(column) for column in columns)
        file = np.zeros(len(self), np.int32)
        return Members((path,), file, offset, stored, sizes, kind.astype(np.int8), zipped.astype(np.bool_), crc)

    def spans(self) -> NDArray[np.int64]:
        """First byte and the byte after the last, int64 of shape [N, 2], without local zip headers."""
        columns = np.array(self._places, np.int64).reshape(-1, 6)
        return np.stack([columns[:, 0], columns[:, 0] + columns[:, 1]], axis=1)

    def finish(self) -> Entries:
        """Marks second members of one name; itself."""
        seen: set[str] = set()
        for row, name in enumerate(self.names):
            if name in seen:
                self.problems[row] = self.problems[row] or "duplicate_member"
            seen.add(name)
        return self


def decoded(name: bytes) -> str:
    """A member's name as text; bytes that are not UTF-8 with a backslash and their number."""
    return name.decode("utf-8", "backslashreplace")


def is_unsafe(name: str) -> bool:
    """Whether a member's name leads out of the folder that an archive would be unpacked in."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or bool(_DRIVE.match(plain)) or ".." in plain.split("/") or "\0" in plain


def is_litter(name: str) -> bool:
    """Whether a member belongs to macOS and not to the data."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] in {".DS_Store"}


def distinct(names: Sequence[str]) -> list[str]:
    """The names, the second of the same name with ``#2`` at its end, the third with ``#3``."""
    return list(_numbered(names))


def _numbered(names: Sequence[str]) -> Iterator[str]:
    taken, count = set(names), dict[str, int]()
    for name in names:
        number = count[name] = count.get(name, 0) + 1
        one = name
        while number > 1 and (one := f"{name}#{number}") in taken:
            number = count[name] = number + 1
        taken.add(one)
        yield one


class BrokenArchiveError(RunError):
    """An archive cannot be used.

    Args:
        path: The archive.
        how: What is wrong with it, as in ``"is cut short"``.

    Attributes:
        how: The same.
    """

    def __init__(self, path: Path, how: str) -> None:
        super().__init__(
            f"'{path}' {how}; get it again (its size and checksum are on the publisher's page) and put it in the place "
            "of this one"
        )
        self.how = how


def broken(path: Path, how: str) -> BrokenArchiveError:
    """The error of an archive that cannot be used.

    Args:
        path: The archive.
        how: What is wrong with it, as in ``"is cut short"``.
    """
    return BrokenArchiveError(path, how)
