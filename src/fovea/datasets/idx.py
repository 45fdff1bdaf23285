"""The IDX format of MNIST: a magic number, the dimensions, the values (LeCun, http://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError

_UINT8 = 0x08
_MAGIC = 4
_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_GZIP = b"\x1f\x8b"
_DEFLATE = 1032  # what one byte of a deflate stream can grow to at most (RFC 1951)
_MOST = 4 << 30


def read_idx(path: Path, ndim: int, content: bytes | None = None) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, gzipped or plain.

    At most one byte more than the header announces is ever unpacked, so that a small file cannot fill the memory.

    Args:
        path: The file.
        ndim: How many dimensions it must have: 3 for images, 1 for labels.
        content: The file's bytes where it lies in an archive; `path` is then its name in messages.

    Returns:
        A read-only array over the unpacked bytes, without a copy.

    Raises:
        RunError: The file is not whole, not IDX, of another type or shape than its header says, or cannot be read.
    """
    with _opened(path, content) as stream:
        shape = _shape(path, stream, ndim)
        count = prod(shape)
        _check_size(path, count, content)
        values = stream.read(count + 1)
    if len(values) != count:
        found = f"ends after {len(values):,} of the" if len(values) < count else "has more than the"
        raise _broken(path, f"{found} {count:,} values that its header {shape} announces")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _broken(path: Path, how: str) -> RunError:
    return RunError(f"'{path}' {how}; put a right copy in its place")


@contextmanager
def _opened(path: Path, content: bytes | None) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") if content is None else io.BytesIO(content) as plain:
            zipped = plain.read(2) == _GZIP
            plain.seek(0)
            if zipped:
                with gzip.GzipFile(fileobj=plain) as stream:
                    yield cast(IO[bytes], stream)
            else:
                yield plain
    except EOFError as error:
        raise _broken(path, "is cut short: its gzip stream has no end") from error
    except (gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise _broken(path, f"is damaged: its gzip stream cannot be unpacked ({error})") from error
    except OSError as error:
        raise RunError(f"'{path}' cannot be read ({error.strerror or error})") from error


def _shape(path: Path, stream: IO[bytes], ndim: int) -> tuple[int, ...]:
    magic = stream.read(_MAGIC)
    expected = bytes((0, 0, _UINT8, ndim))
    if len(magic) == _MAGIC and magic[:2] == b"\0\0" and magic[2] != _UINT8 and magic[2] in _TYPES:
        raise _broken(path, f"holds {_TYPES[magic[2]]} values where uint8 are expected")
    if magic != expected:
        raise _broken(path, f"begins with 0x{magic.hex()} where the magic number 0x{expected.hex()} is expected")
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise _broken(path, f"ends within its header of {ndim} dimensions")
    return struct.unpack(f">{ndim}I", sizes)


def _check_size(path: Path, count: int, content: bytes | None) -> None:
    """Refuses, before anything is unpacked, what the file cannot hold."""
    size = path.stat().st_size if content is None else len(content)
    with path.open("rb") if content is None else io.BytesIO(content) as stream:
        room = size * _DEFLATE if stream.read(2) == _GZIP else size
    if count > min(room, _MOST):
        raise _broken(path, f"announces {count:,} values, more than a file of {size:,} bytes can hold")
