"""The test pictures of a run in small, where the data that it was tested on are prepared on this machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.errors import FoveaError
from fovea.core.places import PREPARED, project_root
from fovea.shards import PreparedData

if TYPE_CHECKING:
    from fovea.comparison.page import Show
    from fovea.inspection.thumbnails import Thumbnail

log = logging.getLogger("fovea")


def shower(digest: str) -> Show:
    """What gives the pictures of a test split by their ids.

    Args:
        digest: Of the prepared data; an unknown one has no pictures.
    """
    folder = next((project_root() / PREPARED).glob(f"*-{digest[:12]}"), None) if digest else None
    prepared = _opened(folder, digest) if folder is not None else None
    if prepared is None:
        log.info("compare: the test pictures are not prepared here; the page names them without showing them")
        return lambda _: None
    split = prepared.split("test")
    rows = {name: row for row, name in enumerate(split.ids)}

    def show(name: str) -> Thumbnail | None:
        from fovea.inspection.thumbnails import SIDE, thumbnail

        return thumbnail(split.image(rows[name], least_side=SIDE)) if name in rows else None

    return show


def _opened(folder: Path, digest: str) -> PreparedData | None:
    try:
        prepared = PreparedData.open(folder)
    except FoveaError as error:
        log.warning("compare: no pictures: %s", error)
        return None
    return prepared if prepared.meta.digest == digest else None
