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
    "cats_vs_dogs": "fovea.datasets.cats_vs_dogs",
    "digits": "fovea.datasets.digits",
    "emnist": "fovea.datasets.emnist",
    "idx": "fovea.datasets.idx_pairs",
    "image_folder": "fovea.datasets.image_folder",
    "imagenet": "fovea.datasets.imagenet",
}


class Reader(Protocol):
    """What a module of a kind of source has."""

    def ingest(self, data: DataConfig) -> SourceFiles:
        """Finds or fetches the publisher's files and verifies them."""

    def read(self, source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
        """The pictures of the source, in a fixed order, as many at a time as are comfortable to hold."""

    def class_names(self, source: SourceFiles, data: DataConfig) -> list[str]:
        """The names of the classes as the source has them, in the order of the labels."""


def reader(source: str) -> Reader:
    """The reader of a kind of source.

    Args:
        source: The value of `data.source`.

    Raises:
        UserError: There is no such kind.
    """
    _known(source)
    return cast(Reader, import_module(_READERS[source]))


def class_names(source: SourceFiles, data: DataConfig) -> list[str]:
    """The names of the classes in the order of their labels: those of the config, else those of the source.

    Args:
        source: The publisher's files.
        data: The data set.

    Raises:
        UserError: Neither names them, or there is no such kind of source.
        RunError: The file that names them is damaged.
    """
    if data.classes is not None:
        return list(data.classes)
    return reader(data.source).class_names(source, data)


def check(config: Config) -> None:
    """Refuses an unknown kind of source before anything starts.

    Raises:
        UserError: There is no such kind.
    """
    _known(config.data.source)


def _known(source: str) -> None:
    if source not in _READERS:
        raise UserError(f"unknown data.source '{source}'{nearest(source, _READERS)}")
