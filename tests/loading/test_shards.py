"""Batches from real shards."""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from fovea.augment import fit
from fovea.config.compose import compose
from fovea.config.schema import DataConfig, PrepareConfig, parse
from fovea.datasets import registry
from fovea.datasets.samples import Samples
from fovea.shards import PreparedData, prepare
from fovea.shards.meta import Meta
from fovea.shards.pack import pack

CROP = [
    {"_target_": "albumentations.RandomResizedCrop", "size": [32, 32]},
    {"_target_": "albumentations.HorizontalFlip"},
]
MIX = {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}


@pytest.fixture(scope="module")
def settings(project):
    """The section `prepare` of the project, in this process."""
    values = compose(project / "conf", []).config["prepare"]
    return parse(PrepareConfig, {**values, "executor": "serial", "shard_mb": 1, "near_distance": None}, "prepare")


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def prepared(pictures, settings, tmp_path_factory):
    """2,000 pictures of known pixels in shards of 1 MB."""
    folder = tmp_path_factory.mktemp("prepared")
    names = [str(i) for i in range(len(pictures))]
    samples = Samples(names, names, np.arange(len(names), dtype=np.int64) % 10, pictures)
    data = SimpleNamespace(name="fake", channels=1, image_size=32, classes=[str(c) for c in range(10)])
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
        left_out=packed.left_out,
        quality=packed.quality,
        quarantine=packed.quarantine,
    )
    meta.write(folder)
    return PreparedData.open(folder)


@pytest.fixture(scope="module")
def photographs(settings, tmp_path_factory):
    """60 JPEG and PNG files of two classes and many sizes, some much larger than 32 pixels."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "conf").mkdir()
    (root / "pyproject.toml").touch()
    draw = np.random.default_rng(0)
    for number in range(60):
        height, width = draw.integers(20, 200, 2).tolist()
        small = draw.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        file = root / "files" / ["cat", "dog"][number % 2] / f"{number}.{'png' if number % 5 == 0 else 'jpg'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    values = {"name": "photos", "source": "image_folder", "channels": 3, "image_size": 32, "classes": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOVEA_ROOT", str(root))
        data = parse(DataConfig, {**values, "mean": [0.5] * 3, "std": [0.5] * 3, "folder": str(root / "files")}, "data")
        made, _ = prepare(registry.reader(data.source).ingest(data), data, settings)
    return made


@pytest.fixture
def photos(module, photographs):
    """Makes a data module over the photographs."""
    return lambda **options: module(
        photographs,
        data={"channels": 3, "class_names": ["cat", "dog"]},
        **{"train": CROP, "fast_decode": True, "scaled_decode": True, **options},
    )


def same(one, other):
    pairs = [pair for left, right in zip(one, other, strict=True) for pair in zip(left[:3], right[:3], strict=True)]
    mixes = [(left.mix, right.mix) for left, right in zip(one, other, strict=True)]
    pairs += [pair for left, right in mixes if left is not None for pair in zip(left, right, strict=True)]
    return all(torch.equal(a, b) for a, b in pairs)


def test_batches_hold_the_pictures_of_the_shards(module, prepared, pictures):
    data = module(prepared, batch_size=100)
    for name, loader in (("train", data.train_dataloader()), ("val", data.val_dataloader())):
        ids = prepared.split(name).ids
        for batch in loader:
            original = [int(ids[row]) for row in batch.rows.tolist()]
            assert np.array_equal(batch.images.numpy()[:, 0], pictures[original][..., 0])
            assert batch.labels.tolist() == [number % 10 for number in original]


def test_validation_sees_the_exact_pictures_fitted(photos, photographs):
    split = photographs.split("val")
    batches = list(photos().val_dataloader())
    expected = np.stack([fit(split.image(row), 32) for row in range(len(split))])
    assert np.array_equal(torch.cat([batch.images for batch in batches]).numpy(), expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("sampling", ["shuffle", "balanced"])
@pytest.mark.parametrize("workers", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_photographs_give_the_same_batches_with_workers(photos, workers, sampling):
    plain = list(photos(sampling=sampling, mix=MIX).train_dataloader())
    assert same(plain, list(photos(sampling=sampling, mix=MIX, num_workers=workers).train_dataloader()))


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_photographs_that_are_kept_have_the_same_pixels(photos, cache, tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    plain, kept = photos(), photos(cache=cache, num_workers=1)
    for kind in ("train_dataloader", "val_dataloader"):
        assert same(list(getattr(plain, kind)()), list(getattr(kept, kind)()))


def test_ranks_share_the_batches_of_photographs(photos):
    whole = list(photos(mix=MIX).train_dataloader())
    ranks = [list(photos(mix=MIX, rank=rank, world_size=2).train_dataloader()) for rank in range(2)]
    for batch, shares in zip(whole, zip(*ranks, strict=True), strict=True):
        assert torch.equal(batch.images, torch.cat([share.images for share in shares]))
        assert torch.equal(batch.mix.share, torch.cat([share.mix.share for share in shares]))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_of_photographs_goes_on_in_the_middle(photos, workers):
    whole = photos(mix=MIX).train_dataloader()
    whole.batch_sampler.sampler.set_epoch(1)
    expected = list(whole)[2:]
    loader = photos(mix=MIX, num_workers=workers).train_dataloader()
    loader.load_state_dict({"epoch": 1, "batch": 2, "batches": len(whole)})
    assert same(expected, list(loader))


def test_a_data_set_travels_to_a_worker_without_its_ids(photos, photographs):
    packed = pickle.dumps(photos().train_dataloader().dataset)
    assert photographs.split("train").ids[0].encode() not in packed
    assert len(packed) < 5000


def test_a_spawned_worker_maps_the_files_itself(module, prepared, affine, tmp_path):
    loader = module(prepared, train=affine, num_workers=1).train_dataloader()
    packed, key = pickle.dumps(loader.dataset), next(iter(loader.batch_sampler))
    assert len(packed) < 5000
    (tmp_path / "worker.pickle").write_bytes(pickle.dumps((loader.dataset, key)))
    code = (
        "import pickle, torch; dataset, key = pickle.load(open('worker.pickle', 'rb'));"
        "torch.save(list(dataset.__getitems__(key))[:3], 'batch.pt')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    there = torch.load(tmp_path / "batch.pt", weights_only=True)
    assert all(torch.equal(one, other) for one, other in zip(there, loader.dataset.__getitems__(key)[:3], strict=True))


def test_batches_may_be_written_to(module, prepared):
    batch = next(iter(module(prepared).train_dataloader()))
    batch.images.zero_()
    assert not torch.equal(next(iter(module(prepared).train_dataloader())).images, batch.images)
