from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fovea.config.schema import DataConfig, parse
from fovea.core.errors import RunError, UserError
from fovea.datasets.idx_pairs import ingest, read
from fovea.datasets.registry import reader
from fovea.datasets.source import SourceFiles

RNG = np.random.default_rng(0)
IMAGES = {"train": RNG.integers(0, 256, (12, 6, 6)), "test": RNG.integers(0, 256, (5, 6, 6))}
LABELS = {"train": RNG.integers(0, 3, 12), "test": RNG.integers(0, 3, 5)}
NAMES = {f"{split}_{kind}": f"{split}-{kind}.gz" for split in IMAGES for kind in ("images", "labels")}


def config(**changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "name": "tiny",
        "source": "idx",
        "channels": 1,
        "image_size": 6,
        "classes": ["a", "b", "c"],
        "mean": [0.5],
        "std": [0.5],
        "files": {role: {"name": name} for role, name in NAMES.items()},
    }
    return parse(DataConfig, values | changes, "data")


@pytest.fixture
def raw(root: Path, write_idx: Any) -> Path:
    """The folder of raw data, with the four files placed by hand."""
    folder = root / "data" / "01_raw" / "tiny"
    for split, images in IMAGES.items():
        write_idx(folder / NAMES[f"{split}_images"], images)
        write_idx(folder / NAMES[f"{split}_labels"], LABELS[split])
    return folder


def test_the_pairs_are_read_with_their_official_split(raw: Path) -> None:
    source = ingest(config())
    train, test = read(source, config())
    assert (train.split, test.split) == ("train", "test")
    assert (train.encoding, train.labels.dtype) == ("raw", np.int64)
    np.testing.assert_array_equal(train.images, IMAGES["train"][..., None])
    np.testing.assert_array_equal(test.labels, LABELS["test"])
    assert train.ids[:2] == ["train-000000", "train-000001"]
    assert test.members[4] == "test-images.gz[4]"


def test_ingest_gives_files_digests_and_origins(raw: Path) -> None:
    source = ingest(config())
    assert source.path == raw
    assert list(source.files) == ["test_images", "test_labels", "train_images", "train_labels"]
    assert source.entries[0].sha256 == hashlib.sha256((raw / "test-images.gz").read_bytes()).hexdigest()
    assert {entry.origin for entry in source.entries} == {"placed by hand"}
    assert source.fetched == ()


def test_the_digest_follows_the_content_and_not_the_origin(raw: Path, write_idx: Any) -> None:
    first = ingest(config())
    renamed = SourceFiles(first.path, "other", tuple(first.entries))
    assert renamed.digest == first.digest
    write_idx(raw / "train-labels.gz", LABELS["train"][::-1])
    assert ingest(config()).digest != first.digest


def test_images_of_another_size(raw: Path) -> None:
    with pytest.raises(
        UserError, match=r"has images of 6 x 6 pixels but data.image_size is 28; correct data.image_size"
    ):
        list(read(ingest(config()), config(image_size=28)))


def test_images_and_labels_that_differ_in_number(raw: Path, write_idx: Any) -> None:
    write_idx(raw / "train-labels.gz", LABELS["train"][:-1])
    with pytest.raises(RunError, match=r"train-images.gz' has 12 images but '.*train-labels.gz' has 11 labels"):
        list(read(ingest(config()), config()))


def test_a_label_out_of_range(raw: Path, write_idx: Any) -> None:
    write_idx(raw / "test-labels.gz", np.array([0, 1, 3, 9, 0]))
    with pytest.raises(
        RunError, match=r"test-labels.gz' has label 3 at position 2, but data.classes names 3 classes \(0"
    ):
        list(read(ingest(config()), config()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": {}}, "lacks 'train_images'"),
        ({"files": {"train_image": {"name": "x"}}}, "'train_image'; did you mean 'train_images'"),
        ({"files": {"train_images": {"name": "x"}}}, "'train_images' but not 'train_labels'"),
        ({"files": {role: {"name": "x"} for role in NAMES}}, "names 'x' for two roles"),
        ({"channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3}, "data.channels is 3 but IDX images have 1"),
    ],
)
def test_a_config_that_is_no_idx_pair(raw: Path, changes: dict[str, Any], words: str) -> None:
    (raw / "x").write_bytes((raw / "train-images.gz").read_bytes())
    with pytest.raises(UserError, match=words):
        ingest(config(**changes))


def test_a_source_of_other_files_than_the_config(raw: Path) -> None:
    source = ingest(config())
    less = SourceFiles(source.path, source.name, source.entries[:2])
    with pytest.raises(
        UserError, match="the source has no file for 'train_images'; run `kedro run --pipelines=ingest`"
    ):
        list(read(less, config()))


def test_the_registry_knows_the_kinds_of_sources() -> None:
    assert reader("idx").ingest is ingest  # type: ignore[comparison-overlap]
    with pytest.raises(UserError, match=r"unknown data.source 'idxs'; did you mean 'idx'?"):
        reader("idxs")


@pytest.mark.realdata
def test_the_real_mnist_comes_from_fovea_mirror(
    root: Path, project: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_MIRROR", str(real_data))
    data = parse(DataConfig, yaml.safe_load((project / "conf/data/mnist.yaml").read_text()), "data")
    source = ingest(data)
    assert len(source.fetched) == 4
    assert source.size == 11_594_722
    assert ingest(data).fetched == ()
    train, test = read(source, data)
    assert train.images.shape == (60_000, 28, 28, 1)  # type: ignore[union-attr]
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert int(np.sum(train.images, dtype=np.int64)) == 1_567_298_545
