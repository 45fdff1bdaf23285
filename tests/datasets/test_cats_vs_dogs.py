from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.config.schema import DataConfig, parse
from fovea.core.errors import RunError, UserError
from fovea.datasets.cats_vs_dogs import ingest, read
from fovea.datasets.registry import class_names, reader


def config(**changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "name": "pets",
        "source": "cats_vs_dogs",
        "channels": 3,
        "image_size": 64,
        "classes": ["cat", "dog"],
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "files": {"archive": {"name": "pets.zip"}},
    }
    return parse(DataConfig, values | changes, "data")


def put(root: Path, content: dict[str, bytes]) -> Path:
    path = root / "data/01_raw/pets/pets.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def rows(data: DataConfig) -> dict[str, int]:
    return {
        name: int(label)
        for samples in read(ingest(data), data)
        for name, label in zip(samples.ids, samples.labels, strict=True)
    }


def test_microsofts_archive_is_known_by_its_folders(root: Path, jpeg: Callable[[int], bytes]) -> None:
    names = ["PetImages/Dog/0.jpg", "PetImages/Cat/0.jpg", "PetImages/Cat/1.jpg", "PetImages/Cat/Thumbs.db"]
    put(root, {"readme[1].txt": b"x", **{name: jpeg(at) for at, name in enumerate(names)}, "__MACOSX/Cat/0.jpg": b""})
    assert rows(config()) == {names[1]: 0, names[2]: 0, names[3]: 0, names[0]: 1}
    assert rows(config(classes=["Dog", "Cat"])) == {names[0]: 0, names[1]: 1, names[2]: 1, names[3]: 1}
    cats, dogs = read(ingest(config()), config())
    assert (cats.encoding, cats.split, cats.members[1]) == ("encoded", None, "pets.zip/PetImages/Cat/1.jpg")
    assert dogs.images.read(0) == jpeg(0)


@pytest.mark.parametrize("folder", ["train/", ""])
def test_kaggles_archive_is_known_by_its_names(root: Path, folder: str) -> None:
    put(root, {f"{folder}dog.7.jpg": b"1", f"{folder}cat.0.jpg": b"2", f"{folder}sample.csv": b"3"})
    assert rows(config()) == {f"{folder}cat.0.jpg": 0, f"{folder}dog.7.jpg": 1}


def test_a_name_that_is_not_utf8_is_in_its_folder_all_the_same(root: Path) -> None:
    path = put(root, {"PetImages/Cat/caf__.jpg": b"1", "PetImages/Dog/0.jpg": b"2", "PetImages\\Dog\\1.jpg": b"3"})
    path.write_bytes(path.read_bytes().replace(b"caf__", b"caf\xe9\xff"))  # Python writes UTF-8 only
    assert rows(config()) == {
        "PetImages/Cat/caf\\xe9\\xff.jpg": 0,
        "PetImages/Dog/0.jpg": 1,
        "PetImages\\Dog\\1.jpg": 1,
    }


def test_a_member_that_climbs_out_is_told_wherever_it_lies(root: Path) -> None:
    put(root, {"PetImages/Cat/0.jpg": b"1", "../evil.sh": b"2", "PetImages/Dog/../../../0.jpg": b"3"})
    problems = {
        name: problem
        for samples in read(ingest(config()), config())
        for name, problem in zip(samples.ids, samples.problems or [], strict=True)
    }
    assert problems == {
        "PetImages/Cat/0.jpg": None,
        "../evil.sh": "unsafe_name",
        "PetImages/Dog/../../../0.jpg": "unsafe_name",
    }


def test_another_archive_is_refused(root: Path) -> None:
    put(root, {"test1/1.jpg": b"1", "birds/2.jpg": b"2"})
    with pytest.raises(RunError, match=r"pets.zip' holds neither PetImages/Cat .* take kagglecatsanddogs_5340.zip"):
        rows(config())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": {}}, "data.files lacks 'archive'"),
        ({"files": {"archiv": {"name": "x.zip"}}}, "data.files has 'archiv'; did you mean 'archive'"),
        ({"classes": ["cat", "bird"]}, r"data.classes is \['cat', 'bird'\] but the pictures are of cats and dogs"),
    ],
)
def test_a_config_of_something_else_is_refused(root: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        ingest(config(**changes))


def test_a_missing_archive_is_said_where_to_get(root: Path) -> None:
    with pytest.raises(
        RunError, match=r"pets.zip is not there; it is offered at https://www.microsoft.com/\S+id=54765"
    ):
        ingest(config())


def test_the_classes_may_follow_from_the_source(root: Path) -> None:
    put(root, {"cat.0.jpg": b"1", "dog.0.jpg": b"2"})
    data = config(classes=None)
    assert class_names(ingest(data), data) == ["cat", "dog"]
    assert rows(data) == {"cat.0.jpg": 0, "dog.0.jpg": 1}


@pytest.mark.realdata
def test_the_real_archive_lists_every_member(root: Path, real_data: Path) -> None:
    folder = real_data / "cats_vs_dogs"
    data = config(folder=str(folder), files={"archive": {"name": "kagglecatsanddogs_mini.zip"}})
    source = reader("cats_vs_dogs").ingest(data)
    found = {name: samples for samples in read(source, data) for name in samples.ids}
    with (folder / "expected.csv").open() as stream:
        odd = {row["member"]: row["kind"] for row in csv.DictReader(stream)}
    assert len(found) == 2002 + 15
    assert set(odd) <= set(found)
    empty = found["PetImages/Cat/666x.jpg"]
    assert empty.images.read(list(empty.ids).index("PetImages/Cat/666x.jpg")) == b""
