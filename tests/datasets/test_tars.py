from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from fovea.core.errors import RunError
from fovea.datasets.archives import distinct
from fovea.datasets.tars import Span, list_tar, unpacked_members


def made(content: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_where_they_lie(tmp_path: Path, form: int) -> None:
    content = {"a.jpg": b"1" * 700, "empty.jpg": b"", f"{'d' * 90}/{'n' * 90}.jpg": b"22", "é.jpg": b"3" * 512}
    path = tmp_path / "x.tar"
    path.write_bytes(made(content, form))
    entries = list_tar(path)
    assert entries.names == list(content)
    assert entries.problems == [None] * 4
    members = entries.members(path)
    assert [members.read(row) for row in range(4)] == list(content.values())


def test_an_archive_within_an_archive_is_read_in_place(tmp_path: Path) -> None:
    inner = made({"1.jpg": b"one", "2.jpg": b"two"})
    path = tmp_path / "x.tar"
    path.write_bytes(made({"a.tar": inner, "b.tar": inner}))
    outer = list_tar(path).members(path)
    begin, size = int(outer.offset[1]), int(outer.sizes[1])
    entries = list_tar(path, Span(path, begin, begin + size, path / "b.tar"))
    assert entries.names == ["1.jpg", "2.jpg"]
    assert entries.members(path).read(1) == b"two"
    with pytest.raises(RunError, match=r"b.tar' is cut short"):
        list_tar(path, Span(path, begin, begin + 1024, path / "b.tar"))


def test_what_is_no_plain_file_is_told_and_folders_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in {
            "folder": tarfile.DIRTYPE,
            "link": tarfile.SYMTYPE,
            "hard": tarfile.LNKTYPE,
            "device": tarfile.CHRTYPE,
            "pipe": tarfile.FIFOTYPE,
        }.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("../../out.jpg"))
        archive.addfile(tarfile.TarInfo("a.jpg"))
        archive.addfile(tarfile.TarInfo("a.jpg"))
    entries = list_tar(path)
    assert dict(zip(distinct(entries.names), entries.problems, strict=True)) == {
        "link": "not_a_file",
        "hard": "not_a_file",
        "device": "not_a_file",
        "pipe": "not_a_file",
        "../../out.jpg": "unsafe_name",
        "a.jpg": None,
        "a.jpg#2": "duplicate_member",
    }


def test_names_that_are_not_utf_8_are_shown(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a\udcffb.jpg")
    content = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + bytes(1024)
    (tmp_path / "x.tar").write_bytes(content)
    assert list_tar(tmp_path / "x.tar").names == ["a\\xffb.jpg"]


def test_an_archive_that_is_cut_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    content = made({f"{number}.jpg": bytes(600) for number in range(5)})
    path = tmp_path / "x.tar"
    for length in (512, 700, 1536, 3000, 5 * 1536):  # within data, within padding, between two members, before the end
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match=r"x.tar' is cut short: the tar archive has no end; get it again"):
            list_tar(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no tar archive"),
        (b"<html>" * 200, "is no tar archive"),
        (gzip.compress(bytes(range(256)) * 100, mtime=0) + bytes(600), "is a gzip file, not a plain tar archive"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(RunError, match=words):
        list_tar(tmp_path / "x.tar")


def test_damage_between_members_is_refused(tmp_path: Path) -> None:
    content = bytearray(made({"a": bytes(600), "b": bytes(600)}))
    content[1536 + 5] ^= 1
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(RunError, match="is damaged at byte 1,536: there is no header of a member"):
        list_tar(tmp_path / "x.tar")


def test_a_changed_byte_of_a_header_never_raises_anything_else(tmp_path: Path) -> None:
    content = made({"a.jpg": bytes(20), "x" * 120: b"1"}, tarfile.PAX_FORMAT)
    path, outcomes = tmp_path / "x.tar", set()
    for at in (*range(0, 512, 3), *range(512, 3072, 17)):
        changed = bytearray(content)
        changed[at] ^= 0x81
        if at < 512 and not 148 <= at < 156:  # the checksum put right again, so that the field itself is reached
            changed[148:156] = b" " * 8
            changed[148:156] = b"%06o\0 " % sum(changed[:512])
        path.write_bytes(changed)
        try:
            outcomes.add(len(list_tar(path)) >= 0)
        except RunError:
            outcomes.add(False)
    assert outcomes == {True, False}


def test_members_of_a_small_archive_are_unpacked_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(made({"kit/data/a.txt": b"one", "kit/other.txt": b"two"})))
    assert unpacked_members(path, ("data/a.txt", "data/none"), 1 << 20) == {"data/a.txt": b"one"}
    path.write_bytes(gzip.compress(made({"kit/data/a.txt": bytes(3 << 20)})))
    with pytest.raises(RunError, match="unpacks to more than 1 MB"):
        unpacked_members(path, ("data/a.txt",), 1 << 20)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match="is cut short: its gzip stream has no end"):
        unpacked_members(path, ("data/a.txt",), 1 << 20)


def test_names_are_told_apart() -> None:
    assert distinct(["a", "b", "a", "a#2", "a"]) == ["a", "b", "a#3", "a#2", "a#4"]
