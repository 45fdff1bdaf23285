"""What `predict.source` may be, and what it must not be."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import UserError
from fovea.prediction.pictures import Unreadable
from fovea.prediction.source import Source
from fovea.prediction.sources import find_source


def contents(source: Source) -> list[bytes | str]:
    """The bytes of every picture, or why there are none."""
    found: list[bytes | str] = []
    for row in range(len(source)):
        try:
            found.append(source.read(row))
        except Unreadable as error:
            found.append(str(error))
    return found


def test_a_folder_is_read_at_any_depth_in_order_and_other_files_are_not(folder: Path) -> None:
    (folder / "upper.PNG").write_bytes(b"1")
    (folder / "folder.png").mkdir()
    (folder / "again").symlink_to(folder)
    source = find_source(str(folder))
    assert source.names == ["a.png", "b.jpg", "c.png", "deep/d.png", "deep/e.png", "upper.PNG"]
    assert source.labels is None
    assert source.read(5) == b"1"
    assert source.words == f"the folder '{folder}'"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("*.png", ["a.png", "c.png"]), ("**/*.png", ["a.png", "c.png", "deep/d.png", "deep/e.png"]), ("[ab].*", None)],
)
def test_a_pattern_is_matched(folder: Path, pattern: str, names: list[str] | None) -> None:
    source = find_source(f"{folder}/{pattern}")
    assert source.names == [f"{folder}/{name}" for name in names or ["a.png", "b.jpg"]]
    assert source.read(0) == (folder / "a.png").read_bytes()


def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "[1]").mkdir()
    (tmp_path / "[1]" / "a.png").touch()
    assert find_source(str(tmp_path / "[1]")).names == ["a.png"]


def test_a_zip_is_read_and_not_unpacked(archive: Any, png: Callable[[str], bytes], tmp_path: Path) -> None:
    path = archive(
        {
            "a/1.png": png("ant"),
            "__MACOSX/a/._1.png": b"litter",
            "notes.txt": b"",
            "../out.png": png("bee"),
            "/etc/out.png": png("bee"),
            "a/2.jpg": b"text",
            "inner.zip": b"PK\x03\x04",
        }
    )
    source = find_source(str(path))
    assert source.names == ["a/1.png", "../out.png", "/etc/out.png", "a/2.jpg"]
    outside = "its name leads out of the archive"
    assert contents(source) == [png("ant"), outside, outside, b"text"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["pictures.zip"]


def test_a_zip_without_the_end_of_a_zip_in_its_name_is_one(archive: Any, png: Callable[[str], bytes]) -> None:
    assert find_source(str(archive({"1.png": png("ant")}, "pictures.dat"))).names == ["1.png"]


def test_members_that_lie_are_rows_with_a_reason(archive: Any, png: Callable[[str], bytes]) -> None:
    path = archive(
        {"good.png": png("ant"), "large.bmp": bytes(100_000_001), "twice.png": b"1", "wrong.png": b"12345678"}
    )
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as stream:
        stream.writestr("twice.png", b"2")
    data = path.read_bytes()
    at = data.rindex(b"wrong.png") - 46  # its entry in the table of contents
    data = data[: at + 16] + struct.pack("<L", 1) + data[at + 20 :]  # another checksum
    path.write_bytes(data)
    assert contents(find_source(str(path))) == [
        png("ant"),
        "it has too many pixels or bytes to be decoded",
        b"1",
        "the archive is damaged there",
        "the archive has another one of this name",
    ]


def test_a_bomb_whose_members_share_bytes_is_refused(archive: Any, png: Callable[[str], bytes]) -> None:
    path = archive({"1.png": png("ant"), "2.png": png("ant")})
    data = path.read_bytes()
    second = data.rindex(b"2.png") - 46
    path.write_bytes(data[: second + 42] + struct.pack("<L", 0) + data[second + 46 :])  # where the first one lies
    with pytest.raises(UserError, match=r"is a zip bomb, 2 of its members share their bytes; nothing was unpacked"):
        find_source(str(path))


def test_a_bomb_that_would_grow_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as stream:
        stream.writestr("1.bmp", bytes(60_000_000))
    small = path.stat().st_size
    data = bytearray(path.read_bytes())
    # The table of contents promises as much as deflate can give at the very most; twenty times.
    at = data.rindex(b"PK\x01\x02")
    entry, end = bytes(data[at : at + 46 + 5]), bytearray(data[at + 46 + 5 :])
    local = data[:at]
    begins = [number * len(local) for number in range(20)]
    stored = struct.unpack_from("<L", entry, 20)[0]
    entries = b"".join(
        entry[:24] + struct.pack("<L", stored * 1000) + entry[28:42] + struct.pack("<L", begin) + entry[46:]
        for begin in begins
    )
    struct.pack_into("<2H2L", end, 8, 20, 20, len(entries), 20 * len(local))
    path.write_bytes(local * 20 + entries + end)
    assert path.stat().st_size < 21 * small
    with pytest.raises(UserError, match=r"is a zip bomb, its [\d,]+ bytes would become [\d,]{13,}; nothing was unpack"):
        find_source(str(path))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no archive at all", "is no zip archive"),
        (b"PK\x03\x04" + bytes(100), "is cut short"),
        (b"", "is no zip archive"),
    ],
)
def test_a_broken_zip_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=rf"predict\.source: '.*a\.zip' {words}.*; name another archive"):
        find_source(str(tmp_path / "a.zip"))


def test_a_table_names_pictures_and_perhaps_their_classes(folder: Path) -> None:
    (folder / "list.csv").write_text(
        f"Label ,path\ncat, a.png\n,{folder}/c.png\n\ncat,none.png\n", encoding="utf-8-sig"
    )
    source = find_source(str(folder / "list.csv"))
    assert source.names == ["a.png", f"{folder}/c.png", "none.png"]
    assert source.labels is None  # the column is called label, not Label
    assert contents(source) == [(folder / name).read_bytes() for name in ("a.png", "c.png")] + ["there is no such file"]
    (folder / "list.csv").write_text("label,path\ncat,a.png\n,c.png\n")
    assert find_source(str(folder / "list.csv")).labels == ["cat", None]
    (folder / "list.csv").write_text("label,path\n,a.png\n")
    assert find_source(str(folder / "list.csv")).labels is None


def test_a_name_that_begins_with_a_tilde_need_be_no_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "~$IMG_1.png").write_bytes(b"1")
    (folder / "list.csv").write_text("path\n~$IMG_1.png\n~$none.png\n~/b.jpg\n")
    monkeypatch.setenv("HOME", str(folder))
    source = find_source(str(folder / "list.csv"))
    assert contents(source) == [b"1", "there is no such file", (folder / "b.jpg").read_bytes()]
    monkeypatch.chdir(folder)
    assert find_source("~$IMG_?.png").names == ["~$IMG_1.png"]
    assert find_source("~/deep").names == ["d.png", "e.png"]
    with pytest.raises(UserError, match=r"predict\.source '~IMG_2\.png' does not exist"):
        find_source("~IMG_2.png")


def test_a_table_may_be_called_from_its_own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "deep" / "list.csv").write_text("path\n../a.png\n")
    monkeypatch.chdir(folder)
    assert find_source("deep/list.csv").read(0) == (folder / "a.png").read_bytes()


def test_one_picture_is_a_source(folder: Path) -> None:
    source = find_source(str(folder / "a.png"))
    assert (source.names, len(source)) == (["a.png"], 1)


@pytest.mark.parametrize("source", [None, ""])
def test_without_a_source_the_way_out_is_told(source: str | None) -> None:
    with pytest.raises(UserError, match=r"predict.source is not set; .*`kedro run --pipelines=predict predict.source="):
        find_source(source)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "predict.source '.*missing' does not exist"),
        ("empty", "the folder '.*' holds no picture"),
        ("deep", "the folder '.*' holds no picture"),
        ("*.gif", r"the pattern '.*\*\.gif' matches nothing; put it into quotes"),
        ("*.txt", "what the pattern '.*' matches holds no picture"),
        ("*", "what the pattern '.*' matches holds no picture"),
        ("empty.zip", "the archive '.*' holds no picture .*; archives within the archive are not opened"),
        ("notes.txt", "the file '.*' cannot be classified: not a picture"),
        ("text.jpg", "the file '.*' cannot be classified: not a picture"),
        ("nothing.jpg", "the file '.*' cannot be classified: the file is empty"),
        ("document.pdf", "the file '.*' cannot be classified: a kind of picture that is not read"),
        ("pipe", "predict.source '.*pipe' is neither a file nor a folder"),
        ("names.csv", "'.*' has no column 'path': its first line has name, label; name the columns path or path,label"),
        ("hollow.csv", "has no lines after its first"),
        ("blank.csv", "has no column 'path': it is empty"),
        ("gap.csv", "line 3 of '.*' has no path"),
        ("latin.csv", "is not UTF-8 text"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as stream:
        stream.writestr("notes.txt", "1")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "names.csv").write_text("name,label\na.png,cat\n")
    (tmp_path / "hollow.csv").write_text("path\n")
    (tmp_path / "blank.csv").touch()
    (tmp_path / "gap.csv").write_text("path,label\na.png,cat\n,dog\n")
    (tmp_path / "latin.csv").write_bytes("path\ncafé.png\n".encode("latin-1"))
    (tmp_path / "document.pdf").write_bytes(b"%PDF-1.7" + bytes(100))
    os.mkfifo(tmp_path / "pipe")
    if name.endswith(".jpg"):
        (tmp_path / name).write_bytes(b"hello " * 20 if name == "text.jpg" else b"")
    with pytest.raises(UserError, match=words):
        find_source(str(tmp_path / name))
