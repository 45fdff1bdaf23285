"""Prepared data sets by the digest of everything they follow from: made once, found again afterwards."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.digest import data_digest, file_digest
from fovea.core.errors import FoveaError, RunError
from fovea.core.files import atomic_directory, atomic_file
from fovea.core.locks import waiting
from fovea.core.places import PREPARED, project_root
from fovea.datasets import SourceFiles, registry
from fovea.shards.meta import FORMAT, Meta
from fovea.shards.pack import pack
from fovea.shards.prepared import PreparedData

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig, PrepareConfig

_LOG = logging.getLogger(__name__)


def prepare(source: SourceFiles, data: DataConfig, config: PrepareConfig) -> tuple[PreparedData, bool]:
    """The prepared data set of a source; made if it is not there whole.

    It lies in ``data/03_primary/<name>-<first 12 digits of the digest>``. Two processes that want the same one wait for
    each other; a folder whose files are not what its note says is made anew.

    Args:
        source: The publisher's files.
        data: The data set.
        config: How to split and pack.

    Returns:
        The data set, and whether it was made just now.

    Raises:
        UserError: The config does not fit the source.
        RunError: The source is damaged, or the disk is full or not writable.
    """
    settings = _settings(data, config)
    digest = data_digest({"format": FORMAT, "source": source.digest, **settings})
    folder = project_root() / PREPARED / f"{data.name}-{digest[:12]}"
    if _whole(folder, digest):
        return PreparedData.open(folder), False
    with waiting(folder.with_name(f".{folder.name}.lock"), f"preparing {folder.name}"):
        if _whole(folder, digest):
            return PreparedData.open(folder), False
        for left in folder.parent.glob(f".{folder.name}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        with atomic_directory(folder) as temporary:
            packed = pack(registry.reader(data.source).read(source, data), temporary, data, config)
            meta = Meta(
                name=data.name,
                classes=tuple(data.classes),
                channels=data.channels,
                image_size=data.image_size,
                encoding=packed.encoding,
                counts=packed.counts,
                digest=digest,
                source_digest=source.digest,
                settings=settings,
                manifest=packed.manifest,
                shards=packed.shards,
            )
            meta.write(temporary)
        _remember(folder, meta)
    return PreparedData.open(folder), True


def _settings(data: DataConfig, config: PrepareConfig) -> dict[str, Any]:
    """The part of the config that the bytes follow from; normalisation and addresses do not matter."""
    return {
        "data": {
            "source": data.source,
            "channels": data.channels,
            "image_size": data.image_size,
            "classes": list(data.classes),
        },
        "prepare": config.model_dump(mode="json"),
    }


def _whole(folder: Path, digest: str) -> bool:
    """Whether the folder holds this data set to the last byte; untouched files are not read again."""
    if not folder.exists():
        return False
    try:
        meta = PreparedData.open(folder).meta
        if meta.digest != digest:
            raise RunError("it is of another digest")
        if _recall(folder) != _stamps(folder, meta):
            for info in meta.files:
                if file_digest(folder / info.name) != info.sha256:
                    raise RunError(f"{info.name} has changed since it was written")
            _remember(folder, meta)
    except (RunError, OSError) as error:
        _LOG.warning("'%s' is not whole and is made anew: %s", folder, error)
        return False
    return True


def _stamps(folder: Path, meta: Meta) -> dict[str, list[int]]:
    states = {info.name: (folder / info.name).stat() for info in meta.files}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}


def _note(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.json")


def _recall(folder: Path) -> Any:
    try:
        return json.loads(_note(folder).read_text())
    except (OSError, ValueError):
        return None


def _remember(folder: Path, meta: Meta) -> None:
    try:
        with atomic_file(_note(folder)) as temporary:
            temporary.write_text(json.dumps(_stamps(folder, meta)))
    except (FoveaError, OSError):
        return  # the files are then read again next time
