"""What a frozen network says of each picture, computed once and kept beside the data."""

from __future__ import annotations

import copy
import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from fovea.augment import single_threaded
from fovea.core.digest import data_digest
from fovea.core.errors import RunError, UserError
from fovea.core.files import atomic_file, require_space
from fovea.core.locks import waiting
from fovea.core.places import CACHE, shared_root
from fovea.core.resources import usable_cores
from fovea.loading.dataset import BatchDataset
from fovea.loading.features import Features, FeatureTable
from fovea.loading.recipes import Recipe, for_evaluation, for_training
from fovea.loading.sampler import BatchKey
from fovea.shards.executors import in_order

if TYPE_CHECKING:
    from fovea.config.schema import AugmentConfig, DataConfig, LoaderConfig
    from fovea.shards import PreparedData, Split

log = logging.getLogger("fovea")

# Small batches stay in the processor's caches: measured a third faster than batches of 64.
_BATCH = 16
_KEPT = 8  # files of one network, split and view; the oldest go
_LIBRARIES = ("torch", "torchvision", "timm")
_REPORT_SECONDS = 30


class Looks(NamedTuple):
    """How pictures are turned into what the network sees.

    Attributes:
        data: The `data` section.
        augment: The `augment` section.
        loader: The `loader` section.
        seed: Of augmentation.
        views: Of each picture: the first as evaluation sees it, the others augmented.
    """

    data: DataConfig
    augment: AugmentConfig
    loader: LoaderConfig
    seed: int = 0
    views: int = 1


def table_of(network: nn.Module, model: str, prepared: PreparedData, split: str, looks: Looks) -> FeatureTable:
    """The features of a split, out of the cache or computed into it.

    Args:
        network: Frozen, in evaluation mode, without its head: uint8 [B, C, H, W] to features float32 [B, D].
        model: Its name, for the name of the file.
        prepared: The data.
        split: train, val or test.
        looks: How the pictures are shown to it.

    Raises:
        UserError: There are no pictures.
        RunError: A picture cannot be decoded, or the disk is full or not writable.
    """
    pictures = prepared.split(split)
    if not len(pictures):
        raise UserError(f"the {split} part of data '{prepared.meta.name}' has no pictures; change prepare")
    single_threaded()  # OpenCV's own threads would only wait for ours
    digest = tensors_digest(network)
    features = []
    for view in range(looks.views):
        # A fold's pictures are rows of whole splits, whose features serve every fold.
        whole = [
            (_whole(network, digest, model, prepared.origin, part, looks, view), rows)
            for part, rows in pictures.parts
            if len(rows)
        ]
        only = len(whole) == 1 and len(whole[0][0]) == len(pictures)
        features.append(whole[0][0] if only else np.concatenate([table[rows] for table, rows in whole]))
    return FeatureTable(features, pictures.labels, pictures.keys)


def _whole(
    network: nn.Module, tensors: str, model: str, prepared: PreparedData, split: Split, looks: Looks, view: int
) -> Features:
    """float32 [N, D] of a view of all pictures of a split, as in the file."""
    if view == 0:
        recipe = for_evaluation(split, looks.data, looks.augment)
    else:
        recipe = for_training(split, looks.data, looks.loader, looks.augment)
    augmented = {
        "augmenter": recipe.augmenter and recipe.augmenter.identity,
        "seed": looks.seed,
        "view": view,
    }
    digest = data_digest(
        {
            "network": str(network),  # its layers with their strides, paddings and constants
            "tensors": tensors,
            "pictures": recipe.pictures.identity(prepared.meta.digest),
            "augmented": augmented if view else None,
            "batch": _BATCH,
            "precision": "32",
            "libraries": [f"{name} {version(name)}" for name in _LIBRARIES],
        }
    )
    path = shared_root() / CACHE / f"{prepared.meta.name}-{split.name}-{model}-view{view}-{digest[:16]}.npy"
    features = _opened(path)
    if features is not None:
        log.info("features: those of %s pictures of %s were computed before", f"{len(split):,}", _words(split, view))
        return features
    with waiting(path.with_name(f".{path.name}.lock"), f"computing the features of {path.name}"):
        features = _opened(path)
        if features is None:
            _compute(network, recipe, looks, view, path)
            features = _opened(path)
    if features is None:
        raise RunError(f"{path} cannot be read back; check the disk")
    return features


def _words(split: Split, view: int) -> str:
    return split.name if view == 0 else f"{split.name}, view {view}"


def tensors_digest(network: nn.Module) -> str:
    """Hex sha256 of the names, types, shapes and values of a network's tensors."""
    hasher = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        hasher.update(f"{name} {values.dtype} {tuple(values.shape)};".encode())
        hasher.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def _opened(path: Path) -> Features | None:
    with suppress(OSError, ValueError, EOFError):
        features: Features = np.load(path, mmap_mode="r", allow_pickle=False)
        with suppress(OSError):  # another user's, say; it only goes the sooner for that
            path.touch()
        return features
    return None


def _compute(network: nn.Module, recipe: Recipe, looks: Looks, view: int, path: Path) -> None:
    """Writes the features aside and puts them in place as a whole."""
    split = recipe.pictures.split
    start = told = time.monotonic()
    with atomic_file(path) as temporary:
        out: Any = None
        for first, features in _batches(network, recipe, looks, view):
            if out is None:
                shape = (len(split), features.shape[1])
                require_space(path.parent, int(np.prod(shape)) * 4, f"the features of {split.name}")
                out = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            done = first + len(features)
            out[first:done] = features
            if time.monotonic() - told > _REPORT_SECONDS:
                told = time.monotonic()
                log.info("features: %s of %s pictures of %s", f"{done:,}", f"{len(split):,}", _words(split, view))
        out.flush()
    _forget(path)
    rate = len(split) / max(time.monotonic() - start, 1e-9)
    log.info("features: %s pictures of %s, %s images/s", f"{len(split):,}", _words(split, view), f"{rate:,.0f}")


def _batches(network: nn.Module, recipe: Recipe, looks: Looks, view: int) -> Iterator[tuple[int, Any]]:
    """The first row of each batch and its features float32 [B, D], in order.

    Each thread takes whole batches, from the file to the features, and computes alone: threads that share one layer
    wait for each other, twice as long where other programs run too. So the bits do not depend on their number either.
    """
    network.to(memory_format=torch.channels_last)
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    shape = (looks.data.image_size, looks.data.image_size, looks.data.channels)
    own = threading.local()

    def task(key: BatchKey) -> tuple[int, Any]:
        if not hasattr(own, "dataset"):
            torch.set_num_threads(1)
            pictures, augmenter = recipe.pictures.twin(), copy.copy(recipe.augmenter)
            own.dataset = BatchDataset(pictures.split, pictures, shape, augmenter=augmenter, seed=looks.seed)
        batch = own.dataset.__getitems__(key)
        with torch.inference_mode():
            images = batch.images.to(device).contiguous(memory_format=torch.channels_last)
            return int(key.rows[0]), network(images).float().cpu().numpy()

    rows = np.arange(len(recipe.pictures), dtype=np.int64)
    keys = (BatchKey(view, rows[first : first + _BATCH]) for first in range(0, len(rows), _BATCH))
    threads, before = usable_cores(), torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads) as pool, closing(in_order(pool, task, keys, window=2 * threads)) as done:
            yield from done
    finally:
        torch.set_num_threads(before)  # some of torch's libraries take the number of one thread for that of all


def _forget(path: Path) -> None:
    """Removes the files of the same network and split that were not used for longest. Who has one mapped keeps it."""
    family = path.parent.glob(f"{path.name.rpartition('-')[0]}-*.npy")
    for old in sorted(family, key=_used_at, reverse=True)[_KEPT:]:
        with suppress(OSError):
            old.unlink(missing_ok=True)


def _used_at(path: Path) -> float:
    """When a file was used last; 0 where another process has just removed it."""
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
