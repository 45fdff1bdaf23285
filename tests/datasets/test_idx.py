from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fovea.core.errors import RunError
from fovea.datasets.idx import read_idx

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
PLAIN = b"\0\0\x08\x03" + struct.pack(">3I", 5, 4, 3) + IMAGES.tobytes()


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


ZIPPED = zipped(PLAIN)


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "images.idx"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [PLAIN, ZIPPED, zipped(PLAIN[:20]) + zipped(PLAIN[20:])])
def test_gzipped_and_plain_files_give_the_array(tmp_path: Path, content: bytes) -> None:
    images = read_idx(written(tmp_path, content), 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, IMAGES)
    assert not images.flags.owndata
    assert not images.flags.writeable


def test_labels_have_one_dimension(tmp_path: Path) -> None:
    labels = read_idx(written(tmp_path, b"\0\0\x08\x01" + struct.pack(">I", 3) + b"\x07\x02\x01"), 1)
    assert labels.tolist() == [7, 2, 1]


def header(*sizes: int, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(sizes))) + struct.pack(f">{len(sizes)}I", *sizes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with 0x where the magic number 0x00000803 is expected"),
        (b"\0\0\x08\x01" + PLAIN[4:], "begins with 0x00000801 where the magic number 0x00000803 is expected"),
        (b"<htm" + PLAIN[4:], "begins with 0x3c68746d where the magic number"),
        (header(5, 4, 3, kind=0x0D) + bytes(240), "holds float32 values where uint8 are expected"),
        (PLAIN[:10], "ends within its header of 3 dimensions"),
        (PLAIN[:-1], r"announces 60 values|ends after 59 of the 60 values that its header \(5, 4, 3\) announces"),
        (PLAIN + b"x", r"has more than the 60 values that its header \(5, 4, 3\) announces"),
        (header(4, 4, 3) + IMAGES.tobytes(), r"has more than the 48 values that its header \(4, 4, 3\) announces"),
        (zipped(PLAIN[:-1]), r"ends after 59 of the 60 values"),
        (zipped(PLAIN + b"x"), r"has more than the 60 values"),
        (header(2**32 - 1, 2**32 - 1, 2**32 - 1), "announces .* more than a file of 16 bytes can hold"),
        (zipped(header(60_000, 28, 28)), "announces 47,040,000 values, more than a file of 33 bytes can hold"),
        (ZIPPED[:-4], "is cut short: its gzip stream has no end"),
        (ZIPPED[:20], "is cut short: its gzip stream has no end"),
        (ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:], r"is damaged: its gzip stream cannot be unpacked \(CRC check failed"),
        (ZIPPED[:-4] + b"\0\0\0\0", r"is damaged: its gzip stream cannot be unpacked \(Incorrect length"),
        (ZIPPED + b"garbage", r"is damaged: its gzip stream cannot be unpacked \(Not a gzipped file"),
        (ZIPPED[:2] + b"\x07" + ZIPPED[3:], r"is damaged: .*Unknown compression method"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_with_the_file_and_the_way_out(tmp_path: Path, content: bytes, words: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(RunError, match=rf"^'{path}' ({words}).*; put a right copy in its place$"):
        read_idx(path, 3)


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"images.idx' cannot be read \(No such file or directory\)"):
        read_idx(tmp_path / "images.idx", 3)
    with pytest.raises(RunError, match=r"cannot be read \(Is a directory\)"):
        read_idx(tmp_path, 3)


def test_a_bomb_is_unpacked_no_further_than_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, gzip.compress(header(1, 4, 3) + bytes(50_000_000)))
    asked: list[int] = []
    read = gzip.GzipFile.read

    def counting(self: Any, size: int = -1) -> bytes:
        content = read(self, size)
        asked.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    with pytest.raises(RunError, match="has more than the 12 values"):
        read_idx(path, 3)
    assert asked == [4, 12, 13]


def outcome(path: Path) -> np.ndarray[Any, Any] | None:
    """The array, or None when the file was refused in one sentence. Anything else fails the test."""
    try:
        return read_idx(path, 3)
    except RunError as error:
        sentence = str(error)
    assert str(path) in sentence
    assert "\n" not in sentence
    return None


EACH = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@EACH
@given(cut=st.integers(0, len(ZIPPED) - 1), packed=st.booleans())
def test_a_truncated_file_is_never_taken(tmp_path: Path, cut: int, packed: bool) -> None:
    content = ZIPPED if packed else PLAIN
    assert outcome(written(tmp_path, content[: min(cut, len(content) - 1)])) is None


@EACH
@given(at=st.integers(0, 8 * len(ZIPPED) - 1))
def test_a_flipped_bit_of_a_gzipped_file_is_seen_or_harmless(tmp_path: Path, at: int) -> None:
    content = bytearray(ZIPPED)
    content[at // 8] ^= 1 << at % 8
    images = outcome(written(tmp_path, bytes(content)))
    assert images is None or np.array_equal(images, IMAGES)


@EACH
@given(at=st.integers(0, 8 * 16 - 1))
def test_a_flipped_bit_in_a_plain_header_is_seen(tmp_path: Path, at: int) -> None:
    content = bytearray(PLAIN)
    content[at // 8] ^= 1 << at % 8
    assert outcome(written(tmp_path, bytes(content))) is None


@EACH
@given(content=st.binary(max_size=200), packed=st.booleans())
def test_any_bytes_are_refused_or_are_what_their_header_says(tmp_path: Path, content: bytes, packed: bool) -> None:
    images = outcome(written(tmp_path, zipped(content) if packed else content))
    assert images is None or header(*images.shape) + images.tobytes() == content
