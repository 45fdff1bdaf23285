from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from fovea.config.schema import DataConfig, parse
from fovea.core.errors import RunError, UserError
from fovea.datasets import fetch as fetching
from fovea.datasets.locate import listed, locate
from fovea.datasets.source import SourceFiles


def config(**changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "name": "tiny",
        "source": "idx",
        "channels": 1,
        "image_size": 6,
        "classes": ["a", "b"],
        "mean": [0.5],
        "std": [0.5],
        "files": {"one": {"name": "one.tar"}, "two": {"name": "two.tar"}},
    }
    return parse(DataConfig, values | changes, "data")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's folder with both files, which nobody can write to."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.tar").write_bytes(name.encode())
    folder.chmod(0o555)
    return folder


def test_files_of_the_users_folder_are_used_where_they_lie(root: Path, mine: Path, tmp_path: Path) -> None:
    source = locate(config(folder=str(mine)))
    assert source.files == {"one": mine / "one.tar", "two": mine / "two.tar"}
    assert sorted(path.name for path in mine.iterdir()) == ["one.tar", "two.tar"]
    source.publish(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["source.json"]
    note = json.loads((tmp_path / "out" / "source.json").read_text())
    assert note["files"][0] == {
        "role": "one",
        "name": "one.tar",
        "bytes": 3,
        "sha256": hashlib.sha256(b"one").hexdigest(),
        "origin": str(mine),
        "place": str(mine),
    }
    opened = SourceFiles.open(tmp_path / "out")
    assert (opened.files, opened.digest) == (source.files, source.digest)
    (mine / "two.tar").unlink()
    with pytest.raises(RunError, match=r"two.tar' is missing; run `kedro run --pipelines=ingest`"):
        SourceFiles.open(tmp_path / "out")


def test_a_folder_is_named_from_the_root_or_from_home(
    root: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(config(folder="../mine")).files == locate(config(folder="~/mine")).files


def test_an_untouched_file_is_read_once(root: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    measure = fetching.measure
    monkeypatch.setattr(fetching, "measure", lambda path: read.append(path) or measure(path))
    for _ in range(2):
        digest = locate(config(folder=str(mine))).digest
    assert read == [mine / "one.tar", mine / "two.tar"]
    (mine / "one.tar").write_bytes(b"ONE")
    os.utime(mine / "one.tar", (1e9, 1e9))
    assert locate(config(folder=str(mine))).digest != digest
    assert read[2:] == [mine / "one.tar"]


def test_another_file_than_announced_is_refused_and_left_alone(root: Path, mine: Path) -> None:
    files = {"one": {"name": "one.tar", "bytes": 4}}
    with pytest.raises(RunError, match=r"one.tar' is a file of 3 bytes instead of 4; get it again, or set md5, sha256"):
        locate(config(folder=str(mine), files=files))
    assert (mine / "one.tar").read_bytes() == b"one"


def test_missing_files_are_named(root: Path, mine: Path) -> None:
    with pytest.raises(UserError, match=r"^three.tar is not in '.*mine', which data.folder names; put it there"):
        locate(config(folder=str(mine), files={"one": {"name": "one.tar"}, "three": {"name": "three.tar"}}))
    with pytest.raises(RunError, match=r"^one.tar and two.tar are not there; put them into '.*01_raw/tiny', or set"):
        locate(config())
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_a_mirrors_file_that_cannot_be_written_is_linked_and_stays_whole(
    root: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_MIRROR", str(tmp_path))
    monkeypatch.setattr("fovea.datasets.mirrors.os.access", lambda *_: False)
    source = locate(config(name="mine"))
    assert source.files["one"].samefile(mine / "one.tar")
    part = source.path / "one.tar.part"
    source.files["one"].rename(part)  # as after a kill between the link and its name
    monkeypatch.setattr("fovea.datasets.mirrors.os.access", lambda *_: True)
    again = locate(config(name="mine"))
    assert again.files["one"].read_bytes() == b"one"
    assert not again.files["one"].samefile(mine / "one.tar")
    assert (mine / "one.tar").read_bytes() == b"one"
