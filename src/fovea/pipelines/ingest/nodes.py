"""Nodes of the ingest pipeline."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.datasets import SourceFiles
else:
    SourceFiles = Any  # Kedro evaluates the hints of every node when it starts

_LOG = logging.getLogger("fovea")


def ingest(data: dict[str, Any]) -> SourceFiles:
    """Finds or fetches the publisher's files of a data set and verifies them.

    Args:
        data: The section `data` of the config.

    Returns:
        The files.

    Raises:
        UserError: The config is wrong.
        RunError: A file cannot be had, or the disk is full or not writable.
    """
    from fovea.config.schema import DataConfig, parse
    from fovea.datasets.registry import reader

    config = parse(DataConfig, data, "data")
    source = reader(config.source).ingest(config)
    count, fetched = len(source.entries), len(source.fetched)
    if source.pictures is not None:
        _LOG.info("ingest: %s, the pictures in %s, listed with their digests", source.name, source.pictures)
        return source
    how = "in place" if not fetched else "fetched" if fetched == count else f"{fetched} of them fetched"
    _LOG.info(
        "ingest: %s, %d file%s, %.1f MB, %s", source.name, count, "" if count == 1 else "s", source.size / 1e6, how
    )
    return source
