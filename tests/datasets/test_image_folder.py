from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.config.schema import DataConfig, parse
from fovea.core.errors import RunError, UserError
from fovea.datasets import folders
from fovea.datasets.image_folder import ingest, read
from fovea.datasets.registry import class_names
from fovea.datasets.source import SourceFiles

Put = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


@pytest.fixture
def put(folder: Path) -> Put:
    """Writes files into the folder; the content of each is its name."""

    def write(*names: str) -> Path:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode())
        return folder

    return write


@pytest.fixture
def config(root: Path, folder: Path) -> Callable[..., DataConfig]:
    def make(**changes: Any) -> DataConfig:
        values: dict[str, Any] = {
            "name": "mine",
            "source": "image_folder",
            "channels": 3,
            "image_size": 64,
            "classes": None,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "folder": str(folder),
        }
        return parse(DataConfig, values | changes, "data")

    return make


def rows(data: DataConfig, source: SourceFiles | None = None) -> list[tuple[str | None, str, int, str | None]]:
    return [
        (samples.split, name, int(label), problem)
        for samples in read(source or ingest(data), data)
        for name, label, problem in zip(samples.ids, samples.labels, samples.problems or [], strict=True)
    ]


def test_each_folder_is_a_class_with_all_that_lies_below(config: Any, put: Put) -> None:
    put("dog/b.jpg", "dog/more/a.jpg", "cat/1.png", "cat/Thumbs.db", ".git/x", "cat/.hidden", "cat/.more/2.jpg")
    data = config()
    source = ingest(data)
    assert class_names(source, data) == ["cat", "dog"]
    assert rows(data, source) == [
        (None, "cat/1.png", 0, None),
        (None, "cat/Thumbs.db", 0, None),
        (None, "dog/b.jpg", 1, None),
        (None, "dog/more/a.jpg", 1, None),
    ]
    cats = next(iter(read(source, data)))
    assert cats.images.read(1) == b"cat/Thumbs.db"
    assert cats.sha256 == [hashlib.sha256(name.encode()).hexdigest() for name in cats.ids]


def test_train_val_and_test_on_top_are_the_splits(config: Any, put: Put) -> None:
    put("train/a/1", "train/b/2", "test/a/3", "val/b/4")
    assert rows(config()) == [
        ("train", "train/a/1", 0, None),
        ("train", "train/b/2", 1, None),
        ("val", "val/b/4", 1, None),
        ("test", "test/a/3", 0, None),
    ]


def test_a_class_may_be_called_as_a_split(config: Any, put: Put) -> None:
    put("train/1", "bus/2", "test/old/3", "test/4")
    assert class_names(ingest(config()), config()) == ["bus", "test", "train"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train/a/1", "train/b/2", "valid/a/3", "valid/b/4"], "'train' and 'valid'"),
        (["Train/a/1", "Train/b/2", "Test/a/3"], "'Test' and 'Train'"),
        (["train/a/1", "train/b/2", "val/a/3", "other/5"], "'other', 'train' and 'val'"),
    ],
)
def test_splits_are_not_taken_for_classes(config: Any, put: Put, names: list[str], words: str) -> None:
    put(*names)
    with pytest.raises(UserError, match=f"has the folders {words}, which hold .* call the splits train, val and test"):
        ingest(config())


@pytest.mark.parametrize(
    ("names", "splits", "whole"),
    [
        (["train/a/1", "train/b/2", "val/a/3", "test/b/4"], ["train", "train", "val", "test"], True),
        (["train/a/1", "train/b/2", "val/a/3", "val/b/4"], ["train", "train", "test", "test"], False),
        (["train/a/1", "train/b/2", "test/a/3"], ["train", "train", "test"], False),
        (["a/1", "b/2"], [None, None], False),
    ],
)
def test_validation_is_cut_out_of_train_where_there_is_none(
    config: Any, put: Put, names: list[str], splits: list[str | None], whole: bool
) -> None:
    put(*names)
    found = list(read(ingest(config()), config()))
    assert [samples.split for samples in found] == splits
    assert {samples.whole_train for samples in found} == {whole}


def test_the_source_opens_again_and_keeps_no_copy(config: Any, put: Put, tmp_path: Path, root: Path) -> None:
    folder = put("a/1", "b/2")
    source = ingest(config())
    source.publish(tmp_path / "out")
    opened = SourceFiles.open(tmp_path / "out")
    assert opened == SourceFiles(tmp_path / "out", "mine", source.entries, folder)
    assert rows(config(), opened) == rows(config())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["listing.arrow", "source.json"]
    assert sorted(path.name for path in folder.rglob("*")) == ["1", "2", "a", "b"]


def test_the_digest_follows_the_content_and_not_times_or_places(config: Any, put: Put, folder: Path) -> None:
    put("a/1", "b/2")
    digest = ingest(config()).digest
    os.utime(folder / "a/1", (1e9, 1e9))
    assert ingest(config()).digest == digest
    moved = folder.rename(folder.with_name("moved"))
    assert ingest(config(folder=str(moved))).digest == digest
    (moved / "a/1").write_bytes(b"x")
    assert ingest(config(folder=str(moved))).digest != digest


def test_only_what_has_changed_is_read_again(config: Any, put: Put, folder: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    put("a/1", "b/2", "b/3")
    for path in folder.rglob("[123]"):
        os.utime(path, (1e9, 1e9))
    for words, change in [
        ("3 files listed in '{}', 3 of them read", None),
        ("3 files listed in '{}', 0 of them read", lambda: put("b/4")),
        ("4 files listed in '{}', 1 of them read", lambda: os.utime(folder / "b/2", (2e9, 1e9 + 1))),
    ]:
        caplog.clear()
        digest = ingest(config()).digest
        assert words.format(folder) in caplog.text
        if change:
            change()
    (folder / "b/2").write_bytes(b"X/2")
    os.utime(folder / "b/2", (1e9, 1e9 + 2))
    assert ingest(config()).digest != digest


def test_a_file_that_was_just_written_is_not_trusted_by_its_time(config: Any, put: Put, folder: Path) -> None:
    put("a/1", "b/2")
    digest = ingest(config()).digest
    state = (folder / "a/1").stat()
    (folder / "a/1").write_bytes(b"A/1")
    os.utime(folder / "a/1", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert time.time_ns() - state.st_mtime_ns < 60e9
    assert ingest(config()).digest != digest


def test_links_are_followed_within_the_folder_only(
    config: Any, put: Put, folder: Path, tmp_path: Path, caplog: Any
) -> None:
    put("a/1", "b/2")
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (folder / "a/in").symlink_to(folder / "b/2")
    (folder / "a/out").symlink_to(tmp_path / "secret")
    (folder / "a/gone").symlink_to(folder / "nothing")
    (folder / "a/circle").symlink_to(folder / "a/circle")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "a/folder").symlink_to(tmp_path / "elsewhere")
    (folder / "c").symlink_to(folder / "a")
    os.mkfifo(folder / "b/pipe")
    assert {name: problem for _, name, _, problem in rows(config())} == {
        "a/1": None,
        "a/circle": "not_a_file",
        "a/gone": "not_a_file",
        "a/in": None,
        "a/out": "not_a_file",
        "b/2": None,
        "b/pipe": "not_a_file",
    }
    assert "a/folder' is a link to a folder and is passed over" in caplog.text
    assert "mine/c' is a link to a folder and is passed over" in caplog.text


def test_names_that_are_not_utf_8_are_read(config: Any, put: Put, folder: Path) -> None:
    put("a/1", "b/2")
    with open(os.fsencode(folder) + b"/b/\xff.jpg", "wb") as stream:  # noqa: PTH123
        stream.write(b"odd")
    data = config()
    *_, last = read(ingest(data), data)
    assert list(last.ids) == ["b/2", "b/\\xff.jpg"]
    assert last.images.read(1) == b"odd"


@pytest.mark.parametrize(
    ("names", "changes", "words"),
    [
        ([], {}, "mine' has no folders; put the pictures of each class into a folder"),
        (["a/1"], {}, "mine' has one class only, 'a'"),
        (["a/1", "b/.keep"], {}, "mine' has no pictures of 'b'; put some into the folder, or remove it"),
        (["train/1", "test/2"], {}, "train' has no folders of classes"),
        (
            ["a/1", "b/2"],
            {"classes": ["a", "bb"]},
            "mine' has class 'b', which data.classes does not name; did you mean",
        ),
        (["a/1", "b/2"], {"classes": ["a", "b", "c"]}, "data.classes names 'c' but '.*mine' has no such class"),
        (["a/1", "b/2"], {"folder": None}, "data.folder is null but names where your pictures lie"),
        (["a/1", "b/2"], {"folder": "nowhere"}, "data.folder is 'nowhere' but '.*project/nowhere' does not exist"),
        (["a/1", "b/2"], {"folder": "pyproject.toml"}, "pyproject.toml' is a file, not a folder"),
    ],
)
def test_folders_that_do_not_serve_are_refused(config: Any, put: Put, names: Any, changes: Any, words: str) -> None:
    put(*names)
    with pytest.raises(UserError, match=words):
        ingest(config(**changes))


def test_a_folder_that_cannot_be_read_is_refused(config: Any, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("a/1", "b/2")

    def scandir(path: bytes) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(folders.os, "scandir", scandir)
    with pytest.raises(UserError, match="mine' cannot be read \\(Permission denied\\); make it readable"):
        ingest(config())


def test_the_listing_of_another_run_is_not_taken_for_ones_own(config: Any, put: Put) -> None:
    put("a/1", "b/2")
    source = ingest(config())
    put("a/3")
    other = ingest(config())
    with pytest.raises(RunError, match=r"listing.arrow' is another listing than this run's, made by a run of the same"):
        rows(config(), source)
    assert [name for _, name, _, _ in rows(config(), other)] == ["a/1", "a/3", "b/2"]


def test_a_damaged_listing_is_refused(config: Any, put: Put) -> None:
    put("a/1", "b/2")
    source = ingest(config())
    source.files["listing"].write_bytes(b"no arrow file")
    with pytest.raises(RunError, match=r"listing.arrow' cannot be read .*run `kedro run --pipelines=ingest`"):
        rows(config(), source)


def table(folder: Path, text: str, encoding: str = "utf-8") -> dict[str, Any]:
    (folder / "labels.csv").write_bytes(text.encode(encoding))
    return {"table": "labels.csv"}


def test_a_table_names_pictures_and_labels(config: Any, put: Put, folder: Path, tmp_path: Path, caplog: Any) -> None:
    put("x/1.jpg", "2.jpg", "3, or so.jpg")
    lines = f'x/1.jpg,dog,1\n2.jpg, cat ,2\n"3, or so.jpg",dog,3\n{folder}/2.jpg,cat,4\ngone.jpg,cat,5\n../a,dog,6\n'
    data = config(**table(folder, "\ufeffpath,label,note\n" + lines))
    source = ingest(data)
    assert class_names(source, data) == ["cat", "dog"]
    assert rows(data, source) == [
        (None, "2.jpg", 0, None),
        (None, "2.jpg#2", 0, None),
        (None, "gone.jpg", 0, "missing"),
        (None, "../a", 1, "unsafe_name"),
        (None, "3, or so.jpg", 1, None),
        (None, "x/1.jpg", 1, None),
    ]
    assert "labels.csv' names a picture again in 1 lines" in caplog.text


def test_a_table_may_give_the_splits(config: Any, put: Put, folder: Path) -> None:
    put("1", "2", "3")
    data = config(**table(folder, "split,path,label\ntrain,1,a\nTest,2,b\nval,3,a\n"))
    assert rows(data) == [("train", "1", 0, None), ("val", "3", 0, None), ("test", "2", 1, None)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "labels.csv' has no column 'path': it is empty; name the columns path,label or path,label,split"),
        ("file,label\n1,a\n", "has no column 'path': its first line has file, label"),
        ("path;label\n1;a\n", "has no column 'path': its first line has path;label"),
        ("path,label\n", "has no lines after its first"),
        ("path,label\n1,a\n2,\n", "line 3 of '.*labels.csv' has no label; fill it in or remove the line"),
        ("path,label\n1,a\n2,b\n,b\n", "line 4 of '.*labels.csv' has no path"),
        ("path,label\n1,a,\nred, round/2,b\n", "line 3 of '.*labels.csv' has more values than columns; put quotes"),
        ("path,label,split\n1,a,train\n2,b,tset\n", "line 3 of '.*' has split 'tset'; did you mean 'test'"),
        ("path,label,split\n1,a,train\n2,b\n", "line 3 of '.*' has no split; give every line train, val or test"),
        ("path,label\n1,a\n2,a\n", "data.table 'labels.csv' has one class only, 'a'"),
        ('path,label\n1,"a\n', "labels.csv' is no CSV file"),
    ],
)
def test_tables_that_do_not_serve_are_refused(config: Any, folder: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ingest(config(**table(folder, text)))


def test_a_table_that_is_not_text_or_not_there_is_refused(config: Any, folder: Path) -> None:
    with pytest.raises(UserError, match=r"labels.csv' is not UTF-8 text"):
        ingest(config(**table(folder, "path,label\nä,b\n", "latin-1")))
    with pytest.raises(UserError, match=r"data.table is '.*none.csv' but there is no such file"):
        ingest(config(table="none.csv"))
    with pytest.raises(UserError, match=r"has class 'bird', which data.classes does not name; known: cat, dog"):
        ingest(config(classes=["cat", "dog"], **table(folder, "path,label\n1,cat\n2,bird\n")))


def test_a_class_folder_whose_name_is_not_utf8_is_told(config: Any, put: Put) -> None:
    folder = put("a/1", "b/2")
    (folder / os.fsdecode(b"caf\xe9")).mkdir()
    with pytest.raises(UserError, match=r"the name of the folder '.*/caf\\xe9' is not UTF-8; give it another"):
        ingest(config())
