"""Prepared data sets by the digest of everything they follow from: made once, found again afterwards."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.digest import data_digest, file_digest
from fovea.core.errors import FoveaError, RunError
from fovea.core.files import atomic_directory, atomic_file
from fovea.core.locks import BusyError, exclusive, forget_dead, waiting
from fovea.core.places import PREPARED, project_root
from fovea.datasets import SourceFiles, registry
from fovea.shards import entries, executors
from fovea.shards.meta import FORMAT, FileInfo, Meta
from fovea.shards.pack import pack, rules
from fovea.shards.prepared import PreparedData

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig, PrepareConfig

_LOG = logging.getLogger(__name__)
_SHARDS = ".shards"
_ENCODED = ("cats_vs_dogs", "image_folder", "imagenet")  # their shards do not depend on `data.image_size`
_NOT_CONTENT = {"executor", "workers", "scheduler"}

Report = Callable[[PreparedData], Sequence[str]]
"""Writes a report into the folder of prepared data and gives the names of its files."""


def prepare(
    source: SourceFiles, data: DataConfig, config: PrepareConfig, report: Report | None = None
) -> tuple[PreparedData, bool]:
    """The prepared data set of a source; made if it is not there whole.

    It lies in ``data/03_primary/<name>-<first 12 digits of the digest>``. Two processes that want the same one wait for
    each other; a folder whose files are not what its note says is made anew, out of finished shards where these are
    whole.

    Args:
        source: The publisher's files.
        data: The data set.
        config: How to split and pack, and who does it.
        report: Called before the folder is final.

    Returns:
        The data set, and whether it was made just now.

    Raises:
        UserError: The config does not fit the source.
        RunError: The source is damaged, too many pictures cannot be used, or the disk is full or not writable.
    """
    executors.check(config.executor)
    settings = _settings(data, config)
    digest = data_digest({"format": FORMAT, "source": source.digest, **settings})
    folder = project_root() / PREPARED / f"{data.name}-{digest[:12]}"
    lock = folder.with_name(f".{folder.name}.lock")
    if _whole(folder, digest):
        forget_dead(lock)
        return PreparedData.open(folder), False
    with waiting(lock, f"preparing {folder.name}"):
        if _whole(folder, digest):
            return PreparedData.open(folder), False
        for left in folder.parent.glob(f".{folder.name}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        meta = _make(folder, digest, settings, source, data, config, report)
        _remember(folder, meta)
    _clear(folder.parent, data.name)
    return PreparedData.open(folder), True


def _make(
    folder: Path,
    digest: str,
    settings: dict[str, Any],
    source: SourceFiles,
    data: DataConfig,
    config: PrepareConfig,
    report: Report | None,
) -> Meta:
    reader = registry.reader(data.source)
    classes = registry.class_names(source, data)
    ours = data_digest([rules(data, config).digest(kind) for kind in ("raw", "encoded")])
    store = folder.parent / _SHARDS / f"{data.name}-{ours[:12]}"
    sources = defaultdict(
        lambda: source.digest,
        {path: entry.sha256 for path, entry in zip(source.files.values(), source.entries, strict=True)},
    )
    with waiting(_lock(store), f"preparing {folder.name}"), atomic_directory(folder) as temporary:
        packed = pack(reader.read(source, data), temporary, data, config, classes=classes, sources=sources, store=store)
        meta = Meta(
            name=data.name,
            classes=tuple(classes),
            channels=data.channels,
            image_size=data.image_size if packed.encoding == "raw" else None,
            encoding=packed.encoding,
            counts=packed.counts,
            digest=digest,
            source_digest=source.digest,
            settings=settings,
            manifest=packed.manifest,
            shards=packed.shards,
            resize=config.resize if packed.encoding == "encoded" else None,
            left_out=packed.left_out,
            quality=packed.quality,
            quarantine=packed.quarantine,
        )
        meta.write(temporary)
        if report is not None:
            names = report(PreparedData.open(temporary))
            meta = replace(meta, report=tuple(entries.described(temporary / name, 0) for name in names))
            meta.write(temporary)
    return meta


def _settings(data: DataConfig, config: PrepareConfig) -> dict[str, Any]:
    """The part of the config that the bytes follow from; normalisation, addresses and who does it do not matter."""
    return {
        "data": {
            "source": data.source,
            "channels": data.channels,
            "image_size": None if data.source in _ENCODED else data.image_size,
            "classes": None if data.classes is None else list(data.classes),
            "table": data.table,
            "wnids": data.wnids,
        },
        "prepare": config.model_dump(mode="json", exclude=_NOT_CONTENT),
    }


def _lock(store: Path) -> Path:
    return store.with_name(f".{store.name}.lock")


def _clear(primary: Path, name: str) -> None:
    """Removes the finished shards of a data set that no prepared folder uses any more."""
    used = {shard.sha256 for folder in _of(primary, name) for shard in _shards(folder)}
    for store in _of(primary / _SHARDS, name):
        try:
            with exclusive(_lock(store), f"preparing {name}", "it is left alone"):
                entries.clear(store, used)
                if not any(store.iterdir()):
                    store.rmdir()
        except (BusyError, OSError):
            continue  # they go with the next preparation


def _of(folder: Path, name: str) -> list[Path]:
    """The folders of a data set there; another's name may begin like its own."""
    wanted = re.compile(re.escape(name) + "-[0-9a-f]{12}")
    return [path for path in folder.iterdir() if path.is_dir() and wanted.fullmatch(path.name)]


def _shards(folder: Path) -> tuple[FileInfo, ...]:
    try:
        return Meta.read(folder).shards
    except (OSError, ValueError):
        return ()


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
