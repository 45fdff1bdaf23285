from __future__ import annotations

import pickle
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from fovea.core.errors import RunError
from fovea.datasets.members import MemberError
from fovea.datasets.zips import list_zip

Content = dict[str, bytes]


def write(path: Path, content: Content, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_where_they_lie(tmp_path: Path, method: int) -> None:
    content = {"a/1.jpg": b"one" * 100, "a/2.jpg": b"", "b/é.jpg": bytes(range(256))}
    entries = list_zip(write(tmp_path / "x.zip", content, method))
    assert entries.names == list(content)
    assert entries.problems == [None] * 3
    members = pickle.loads(pickle.dumps(entries.members(tmp_path / "x.zip")))  # noqa: S301
    assert [members.read(row) for row in range(3)] == list(content.values())
    assert members.sizes.tolist() == [300, 0, 256]
    assert members.take(np.array([2])).read(0) == content["b/é.jpg"]


def test_an_archive_behind_other_bytes_and_with_a_comment_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {"a": b"1", "b": b"22"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"said PK\x05"
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    entries = list_zip(path)
    assert entries.members(path).read(1) == b"22"


def test_zip64_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a", "w", force_zip64=True) as stream:
        stream.write(b"12345")
    content = path.read_bytes()
    at = content.rfind(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HLL", content, at + 10)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(content[:at] + wide + locator + end)
    entries = list_zip(path)
    assert (entries.names, entries.members(path).read(0)) == (["a"], b"12345")


@pytest.mark.parametrize("name", ["../out.jpg", "/etc/passwd", "a/../../out.jpg", "C:/out.jpg", "..\\out.jpg"])
def test_a_name_that_leads_out_is_told(tmp_path: Path, name: str) -> None:
    entries = list_zip(write(tmp_path / "x.zip", {"a.jpg": b"1", name: b"2"}))
    assert entries.problems == [None, "unsafe_name"]


def test_links_are_no_files(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("a/link.jpg")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.mkdir("folder")
    entries = list_zip(path)
    assert (entries.names, entries.problems) == (["a/link.jpg"], ["not_a_file"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_second_member_of_a_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("a", "2")
    entries = list_zip(path)
    assert entries.problems == [None, "duplicate_member"]
    assert entries.members(path).read(0) == b"1"


def test_names_that_are_not_utf_8_are_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {"aXb.jpg": b"1"})
    path.write_bytes(path.read_bytes().replace(b"aXb.jpg", b"a\xffb.jpg"))
    assert list_zip(path).names == ["a\\xffb.jpg"]


def test_unknown_compression_and_encryption_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {"a": b"1" * 50}, zipfile.ZIP_LZMA)
    assert list_zip(path).problems == ["unsupported_compression"]
    path = write(tmp_path / "y.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert list_zip(path).problems == ["encrypted"]


def patched(path: Path, **changes: int) -> Path:
    """The archive with fields of its last central entry changed."""
    places = {"crc": 16, "stored": 20, "size": 24, "offset": 42}
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    for name, value in changes.items():
        struct.pack_into("<L", content, at + places[name], value)
    path.write_bytes(content)
    return path


def test_members_that_share_bytes_are_told(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "x.zip", {"a": b"1" * 9, "b": b"1" * 9}), offset=0)
    assert list_zip(path).problems == ["overlapping", "overlapping"]


def test_a_bomb_is_never_inflated_beyond_what_it_announces(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "x.zip", {"a": bytes(50_000_000)}), size=1000)
    members = list_zip(path).members(path)
    assert members.sizes.tolist() == [1000]
    with pytest.raises(MemberError, match="damaged"):
        members.read(0)


def test_a_size_that_cannot_be_true_is_told(tmp_path: Path) -> None:
    path = patched(write(tmp_path / "x.zip", {"a": b"12345"}), size=2_000_000_000)
    assert list_zip(path).problems == ["damaged"]
    path = patched(write(tmp_path / "y.zip", {"a": b"12345"}), stored=1_000_000)
    assert list_zip(path).problems == ["damaged"]


def test_damaged_bytes_are_told_when_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {"a": b"12345"}, zipfile.ZIP_STORED)
    members = list_zip(path).members(path)
    path.write_bytes(path.read_bytes().replace(b"12345", b"12346", 1))
    with pytest.raises(MemberError, match="damaged"):
        members.read(0)
    path.unlink()
    with pytest.raises(MemberError, match="missing"):
        members.read(0)


def test_an_archive_that_is_cut_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    content = write(tmp_path / "x.zip", {f"{number}": bytes(90) for number in range(20)}, 0).read_bytes()
    for length in (30, 500, len(content) // 2, len(content) - 400, len(content) - 22, len(content) - 1):
        (tmp_path / "y.zip").write_bytes(content[:length])
        with pytest.raises(RunError, match=r"y.zip' is (cut short|damaged).*get it again"):
            list_zip(tmp_path / "y.zip")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"<html>no</html>", zlib.compress(b"x")):
        (tmp_path / "x.zip").write_bytes(content)
        with pytest.raises(RunError, match=r"x.zip' is no zip archive; get it again"):
            list_zip(tmp_path / "x.zip")


def test_a_changed_byte_never_raises_anything_else(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {f"{number}.jpg": bytes(20) for number in range(3)})
    content = path.read_bytes()
    outcomes = set()
    for at in range(len(content)):
        for value in (0, 255):
            path.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
            outcomes.add(_outcome(path))
    assert outcomes == {"listed", "refused"}


def _outcome(path: Path) -> str:
    try:
        entries = list_zip(path)
        members = entries.members(path)
        for row, problem in enumerate(entries.problems):
            if problem is None:
                assert len(members.read(row)) == members.sizes[row]
    except RunError:
        return "refused"
    except MemberError:
        return "listed"
    return "listed"
