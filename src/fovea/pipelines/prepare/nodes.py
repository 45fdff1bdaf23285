"""Nodes of the prepare pipeline."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.datasets import SourceFiles
    from fovea.shards import PreparedData
else:
    SourceFiles = PreparedData = Any  # Kedro evaluates the hints of every node when it starts

_LOG = logging.getLogger("fovea")
_ASIDE = {"left_out": "left out", "quarantined": "quarantined"}


def prepare(source: SourceFiles, data: dict[str, Any], prepare: dict[str, Any]) -> PreparedData:
    """Looks at every picture of a source, splits them, and packs them into shards with a manifest and a report.

    Args:
        source: The publisher's files.
        data: The section `data` of the config.
        prepare: The section `prepare` of the config.

    Returns:
        The prepared data set; the one of an earlier run if nothing has changed.

    Raises:
        UserError: The config is wrong or does not fit the source.
        RunError: The source is damaged, or the disk is full or not writable.
    """
    from fovea import shards
    from fovea.config.schema import DataConfig, PrepareConfig, parse
    from fovea.core.errors import UserError

    config = parse(DataConfig, data, "data")
    if source.name != config.name:  # the files of two data sets may have the same names
        raise UserError(
            f"data.name is '{config.name}' but the source is that of '{source.name}'; run "
            "`kedro run --pipelines=ingest,prepare` with this config"
        )
    prepared, made = shards.prepare(source, config, parse(PrepareConfig, prepare, "prepare"), report=_report)
    counts, quality = prepared.meta.counts, prepared.meta.quality
    parts = ", ".join(f"{split} {counts[split]:,}" for split in ("train", "val", "test"))
    place = "/".join(prepared.path.parts[-2:])
    aside = "".join(f", {quality[kind]:,} {words}" for kind, words in _ASIDE.items() if quality[kind])
    total, again = f"{sum(counts.values()):,}", "" if made else ", in place"
    _LOG.info("prepare: %s pictures: %s%s -> %s%s", total, parts, aside, place, again)
    return prepared


def _report(prepared: PreparedData) -> list[str]:
    """Writes the data report; what that takes is imported only where the data are prepared anew."""
    from fovea.inspection.data_report import write

    return write(prepared)
