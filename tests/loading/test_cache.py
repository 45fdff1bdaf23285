from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fovea.core.errors import RunError, UserError
from fovea.loading import keeping
from fovea.loading.decoded import Decoded, reduced
from fovea.loading.keeping import choose
from fovea.loading.store import PixelStore, write_pixels
from fovea.shards.selection import Selection

CROP = [{"_target_": "albumentations.RandomResizedCrop", "size": [8, 8], "scale": [0.3, 1.0]}]
GB = 10**9


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project of its own."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    return tmp_path


def kept(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "data/05_model_input/.cache").glob("*.pixels"))


def images(loader, epochs=2):
    result = []
    for epoch in range(epochs):
        getattr(loader.batch_sampler, "set_epoch", lambda _: None)(epoch)
        result += [batch.images.clone() for batch in loader]
    return result


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_system_without_files_in_memory_keeps_pictures_in_a_temporary_one(module, ragged, root, monkeypatch):
    plain = images(module(ragged).train_dataloader())
    monkeypatch.delattr(os, "memfd_create")
    loader = module(ragged, cache="memory").train_dataloader()
    assert same(images(loader), plain)
    ragged.train.asked.clear()
    assert same(images(loader), plain)
    assert ragged.train.asked == []


@pytest.mark.parametrize("cache", ["memory", "disk"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("train", [[], CROP])
def test_kept_pictures_have_the_same_pixels_and_are_decoded_once(module, ragged, root, cache, workers, train):
    options = {"train": train, "fast_decode": True, "scaled_decode": True}
    plain = module(ragged, **options)
    data = module(ragged, cache=cache, num_workers=workers, **options)
    train_loader, val_loader = data.train_dataloader(), data.val_dataloader()
    assert same(images(train_loader), images(plain.train_dataloader()))
    assert same(images(val_loader), images(plain.val_dataloader()))
    ragged.train.asked.clear(), ragged.val.asked.clear()
    images(data.train_dataloader()), images(train_loader), images(data.val_dataloader())
    assert (ragged.train.asked, ragged.val.asked) == ([], [])


def test_every_picture_is_decoded_once_for_the_cache(module, ragged, root):
    data = module(ragged, cache="memory", train=CROP)
    images(data.train_dataloader(), epochs=3)
    assert sorted(row for row, *_ in ragged.train.asked) == list(range(50))


def test_finished_pictures_need_no_workers(module, ragged, root):
    data = module(ragged, cache="memory", num_workers=2)
    assert data.train_dataloader().num_workers == data.val_dataloader().num_workers == 0
    data = module(ragged, cache="memory", num_workers=2, train=CROP)
    assert data.train_dataloader().num_workers == 2


def test_a_file_is_used_again_by_the_next_run(module, ragged, root):
    first = images(module(ragged, cache="disk", train=CROP).train_dataloader())
    names = kept(root)
    ragged.train.asked.clear()
    assert same(images(module(ragged, cache="disk", train=CROP).train_dataloader()), first)
    assert ragged.train.asked == []
    assert kept(root) == names


def test_files_of_other_pixels_of_the_same_split_are_removed(module, ragged, root):
    def run(**options):
        data = module(ragged, cache="disk", train=CROP, **options)
        images(data.train_dataloader()), images(data.val_dataloader())
        return kept(root)

    first, fast = run(), run(fast_decode=True)
    assert [name.rpartition("-")[0] for name in first] == ["fake-train", "fake-val"]
    assert first[0] != fast[0]
    assert first[1] == fast[1]  # evaluation never decodes fast
    ragged.meta.digest = "1" * 64
    assert set(run()).isdisjoint(first)
    assert len(kept(root)) == 2


def test_a_file_that_is_not_whole_is_made_again(module, ragged, root):
    first = images(module(ragged, cache="disk", train=CROP).train_dataloader())
    file = next((root / "data/05_model_input/.cache").glob("fake-train*.pixels"))
    whole = file.read_bytes()
    for damaged in (whole[:-8], bytes(len(whole)), b""):
        file.write_bytes(damaged)
        assert same(images(module(ragged, cache="disk", train=CROP).train_dataloader()), first)
        assert file.read_bytes() == whole


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_picture_that_cannot_be_read_leaves_nothing_behind(module, ragged, root, cache):
    ragged.train.broken = 30
    with pytest.raises(RunError, match="picture 'train/30' cannot be read"):
        next(iter(module(ragged, cache=cache, num_workers=2, train=CROP).train_dataloader()))
    assert kept(root) == []


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_other_processes_reach_what_is_kept(module, ragged, root, cache):
    data = module(ragged, cache=cache, train=CROP).train_dataloader()
    key = next(iter(data.batch_sampler))
    data.dataset.ready()
    there = pickle.loads(pickle.dumps(data.dataset))  # noqa: S301
    ragged.train.asked.clear()
    there._split.asked.clear()
    assert torch.equal(there.__getitems__(key).images, data.dataset.__getitems__(key).images)
    assert there._split.asked == []


def test_prepared_pixels_are_never_kept_twice(module, prepared, root, caplog):
    with caplog.at_level(logging.INFO, "fovea"):
        images(module(prepared, cache="disk").train_dataloader())
    assert kept(root) == []
    assert caplog.messages == []


def test_one_line_tells_where_pictures_are_kept(module, ragged, root, caplog, monkeypatch):
    with caplog.at_level(logging.INFO, "fovea"):
        for cache in ("memory", "disk", "none", "auto"):
            module(ragged, cache=cache)
        monkeypatch.setattr(keeping, "available_memory", lambda: 1000)
        module(ragged, cache="auto")
        module(ragged, cache="auto", rank=1, world_size=2)
    assert caplog.messages == [
        "loader: 0.0 MB of decoded pictures are kept in memory",
        "loader: 0.0 MB of decoded pictures are kept on disk",
        "loader: pictures are decoded anew in every epoch",
        "loader: 0.0 MB of decoded pictures are kept in memory",
        "loader: pictures are decoded anew in every epoch, as 0.0 MB are more than a quarter of the 0.0 MB of memory "
        "available; loader.cache=disk keeps them in a file",
    ]


def test_a_short_run_keeps_nothing_by_itself(module, ragged, root):
    images(module(ragged, cache="auto", train=CROP, limit_batches=1).train_dataloader(), epochs=1)
    assert len(ragged.train.asked) == 8
    images(module(ragged, cache="auto", overfit_batches=1).train_dataloader(), epochs=1)
    assert len(ragged.train.asked) == 16


def test_automatic_takes_a_quarter_of_the_memory_at_most():
    assert choose("auto", 2 * GB, 8 * GB) == "memory"
    assert choose("auto", 2 * GB + 1, 8 * GB) == "none"
    assert choose("disk", 9 * GB, 8 * GB) == "disk"
    assert choose("none", 0, 8 * GB) == "none"
    assert choose("memory", 8 * GB, 8 * GB) == "memory"
    with pytest.raises(UserError) as caught:
        choose("memory", 9 * GB, 8 * GB)
    assert str(caught.value) == (
        "loader.cache=memory needs 9.0 GB for the decoded pictures, and 8.0 GB are available; take loader.cache=disk "
        "or none"
    )


def test_scaled_decoding_is_foreseen():
    sizes = np.array([[375, 500], [448, 600], [447, 447], [895, 900], [896, 1200], [1792, 4000], [4000, 1792], [9, 9]])
    assert reduced(sizes, 224).tolist() == [
        [375, 500],
        [224, 300],
        [224, 224],
        [224, 225],
        [224, 300],
        [224, 500],
        [500, 224],
        [9, 9],
    ]
    assert reduced(sizes, None).tolist() == sizes.tolist()


def test_the_need_is_that_of_the_pixels(ragged):
    decoded = Decoded(ragged.train, (8, 8, 3))
    assert decoded.total_bytes() == sum(ragged.train.image(row).nbytes for row in range(50))


def test_a_store_gives_back_what_was_written(tmp_path):
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (int(h), int(w), 3), dtype=np.uint8) for h, w in draw.integers(1, 9, (20, 2))]
    with (tmp_path / "some").open("wb") as stream:
        write_pixels(stream, ((one.shape, one.tobytes()) for one in pictures), 3)
    store = PixelStore(tmp_path / "some")
    assert len(store) == 20
    assert all(np.array_equal(store[row], picture) for row, picture in enumerate(pictures))
    assert store.stacked() is None
    with pytest.raises(ValueError, match="read-only"):
        store[0][0] = 1


def test_a_store_of_equal_sizes_is_one_array(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 1), dtype=np.uint8)
    with (tmp_path / "some").open("wb") as stream:
        write_pixels(stream, ((one.shape, one.tobytes()) for one in pictures), 1)
    assert np.array_equal(PixelStore(tmp_path / "some").stacked(), pictures)


@pytest.mark.parametrize("train", [[], CROP])
def test_folds_share_the_files_of_the_whole_splits(module, ragged, root, train):
    def fold(number: int) -> SimpleNamespace:
        """Every third picture of training and validation is held out."""
        splits = [ragged.split("train"), ragged.split("val")]
        held_out = [np.arange(len(split)) % 3 == number for split in splits]
        chosen = {"val": held_out, "train": [~rows for rows in held_out]}
        made = {
            name: Selection(name, [(split, np.flatnonzero(rows)) for split, rows in zip(splits, masks, strict=True)])
            for name, masks in chosen.items()
        }
        return SimpleNamespace(origin=ragged, meta=ragged.meta, split=made.__getitem__)

    for number in range(3):
        options = {"train": train, "fast_decode": True, "data": {"channels": 3, "image_size": 8}}
        data, plain = module(fold(number), cache="disk", **options), module(fold(number), **options)
        for loader in ("train_dataloader", "val_dataloader"):
            expected = images(getattr(plain, loader)())
            ragged.train.asked.clear(), ragged.val.asked.clear()
            assert same(images(getattr(data, loader)()), expected)
            if number:
                assert (ragged.train.asked, ragged.val.asked) == ([], [])
    names = sorted(name.rpartition("-")[0] for name in kept(root))
    assert names == sorted(f"fake-{use}" for use in ("train", "val", "train-as-val", "val-as-train"))
