"""Pictures that have not been read: their names, and how to get the bytes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fovea.core.errors import UserError
from fovea.pictures.header import SUFFIXES
from fovea.prediction.pictures import file_bytes

_KINDS = " ".join(sorted(SUFFIXES))


@dataclass(frozen=True, eq=False)
class Source:
    """Pictures that have not been read.

    Attributes:
        words: What they are, as in ``the folder 'holidays'``.
        names: What names each in the table.
        read: The bytes of the file of a row; raises `Unreadable` with the reason.
        labels: The class of each as the source says it, or None where it says none; None: it has no labels at all.
    """

    words: str
    names: Sequence[str]
    read: Callable[[int], bytes]
    labels: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.names)


def is_named_like_a_picture(name: str) -> bool:
    """Whether a name ends as those of pictures do."""
    return Path(name).suffix.lower() in SUFFIXES


def no_picture(what: str, hint: str = "name another one") -> UserError:
    """The error of a source that has no picture.

    Args:
        what: The source, as in ``the folder 'holidays'``.
        hint: The way out.
    """
    return UserError(f"predict.source: {what} holds no picture ({_KINDS}); {hint}")


def of_files(words: str, paths: Sequence[Path], names: Sequence[str]) -> Source:
    """The pictures in some files, which need not be there."""
    return Source(words, names, lambda row: file_bytes(paths[row]))
