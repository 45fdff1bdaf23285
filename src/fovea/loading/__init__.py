"""From prepared shards to batches: samplers, loaders, the data module. Importing this package imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.loading.datamodule import PictureDataModule
    from fovea.loading.dataset import Batch

__all__ = ["Batch", "PictureDataModule"]

_HOMES = {"Batch": "dataset", "PictureDataModule": "datamodule"}


def __getattr__(name: str) -> Any:
    # A loader's worker imports this package but needs no Lightning, whose import takes seconds.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
