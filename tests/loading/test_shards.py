"""Batches from real shards."""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fovea.config.schema import PrepareConfig
from fovea.datasets.samples import Samples
from fovea.shards import PreparedData
from fovea.shards.meta import Meta
from fovea.shards.pack import pack


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def prepared(pictures, tmp_path_factory):
    """2,000 pictures of known pixels in shards of 1 MB, two of them for training."""
    folder = tmp_path_factory.mktemp("prepared")
    names = [str(i) for i in range(len(pictures))]
    samples = Samples(names, names, np.arange(len(names), dtype=np.int64) % 10, pictures)
    data = SimpleNamespace(name="fake", channels=1, image_size=32, classes=[str(c) for c in range(10)])
    settings = PrepareConfig(seed=0, test_fraction=0.1, val_fraction=0.1, shard_mb=1)
    packed = pack([samples], folder, data, settings)
    meta = Meta(
        name="fake",
        classes=tuple(data.classes),
        channels=1,
        image_size=32,
        encoding=packed.encoding,
        counts=packed.counts,
        digest="0",
        source_digest="0",
        settings={},
        manifest=packed.manifest,
        shards=packed.shards,
    )
    meta.write(folder)
    return PreparedData.open(folder)


def test_batches_hold_the_pictures_of_the_shards(module, prepared, pictures):
    data = module(prepared, batch_size=100)
    for name, loader in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
        ids = prepared.split(name).ids
        for batch in loader:
            original = [int(ids[row]) for row in batch.rows.tolist()]
            assert np.array_equal(batch.images.numpy()[:, 0], pictures[original][..., 0])
            assert batch.labels.tolist() == [number % 10 for number in original]


def test_a_spawned_worker_maps_the_files_itself(module, prepared, affine, tmp_path):
    loader = module(prepared, train=affine, num_workers=1).train_dataloader()
    packed, key = pickle.dumps(loader.dataset), next(iter(loader.batch_sampler))
    assert len(packed) < 5000
    (tmp_path / "worker.pickle").write_bytes(pickle.dumps((loader.dataset, key)))
    code = (
        "import pickle, torch; dataset, key = pickle.load(open('worker.pickle', 'rb'));"
        "torch.save(list(dataset.__getitems__(key)), 'batch.pt')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    there = torch.load(tmp_path / "batch.pt", weights_only=True)
    assert all(torch.equal(one, other) for one, other in zip(there, loader.dataset.__getitems__(key), strict=True))


def test_batches_may_be_written_to(module, prepared):
    batch = next(iter(module(prepared).train_dataloader()))
    batch.images.zero_()
    assert not torch.equal(next(iter(module(prepared).train_dataloader())).images, batch.images)
