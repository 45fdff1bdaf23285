"""The kinds of sources by name. A module is imported when its kind is used."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from fovea.core.errors import UserError, nearest

if TYPE_CHECKING:
    from fovea.config.schema import Config, DataConfig
    from fovea.datasets.samples import Samples
    from fovea.datasets.source import SourceFiles

_READERS = {
    "digits": "fovea.datasets.digits",
    "idx": "fovea.datasets.idx_pairs",
}


class Reader(Protocol):
    """What a module of a kind of source has."""

    def ingest(self, data: DataConfig) -> SourceFiles:
        """Finds or fetches the publisher's files and verifies them."""

    def read(self, source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
        """The pictures of the source, in a fixed order, as many at a time as are comfortable to hold."""


def reader(source: str) -> Reader:
    """The reader of a kind of source.

    Args:
        source: The value of `data.source`.

    Raises:
        UserError: There is no such kind.
    """
    _known(source)
    return cast(Reader, import_module(_READERS[source]))


def check(config: Config) -> None:
    """Refuses an unknown kind of source before anything starts.

    Raises:
        UserError: There is no such kind.
    """
    _known(config.data.source)


def _known(source: str) -> None:
    if source not in _READERS:
        raise UserError(f"unknown data.source '{source}'{nearest(source, _READERS)}")
