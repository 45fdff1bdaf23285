"""Where the bytes of pictures lie: ranges of archives, or files of a folder, read when they are wanted."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAIN, DEFLATED = 0, 1
"""How a member is stored: its own bytes, or a raw deflate stream within a zip archive."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")


class MemberError(Exception):
    """A member cannot be read; the message is the manifest's reason, as in ``damaged``."""


@dataclass(frozen=True)
class Members:
    """Pictures that have not been read. Pickled it is small; a worker process reads them by itself.

    Attributes:
        files: The files that hold them.
        file: Index into `files`, int32 of shape [N].
        offset: Where a member begins in its file, int64 of shape [N]; of a zip archive's its local header.
        stored: Bytes that it takes there, int64 of shape [N].
        sizes: Bytes of the picture, as the archive or the folder says, int64 of shape [N].
        kind: `PLAIN` or `DEFLATED`, int8 of shape [N].
        zipped: Whether a local zip header precedes it, bool of shape [N].
        crc: The zip archive's CRC-32, or -1 where there is none, int64 of shape [N].
    """

    files: tuple[Path, ...]
    file: NDArray[np.int32]
    offset: NDArray[np.int64]
    stored: NDArray[np.int64]
    sizes: NDArray[np.int64]
    kind: NDArray[np.int8]
    zipped: NDArray[np.bool_]
    crc: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.file)

    def take(self, rows: slice | NDArray[Any]) -> Members:
        """Some of them, with the files that they lie in and no others."""
        files, file = self.files, self.file[rows]
        if len(files) > 1:
            used, numbers = np.unique(file, return_inverse=True)
            files, file = tuple(files[number] for number in used.tolist()), numbers.astype(np.int32)
        return Members(
            files,
            file,
            self.offset[rows],
            self.stored[rows],
            self.sizes[rows],
            self.kind[rows],
            self.zipped[rows],
            self.crc[rows],
        )

    def read(self, row: int) -> bytes:
        """The bytes of one. At most the announced size is ever made, whatever the archive holds.

        Raises:
            MemberError: They are not there, of another size or checksum than announced, or cannot be read.
        """
        path, size = self.files[int(self.file[row])], int(self.sizes[row])
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = self._bytes(file, row)
            finally:
                os.close(file)
        except FileNotFoundError:
            raise MemberError("missing") from None
        except OSError:
            raise MemberError("unreadable") from None
        if len(data) != size or (self.crc[row] >= 0 and zlib.crc32(data) != self.crc[row]):
            raise MemberError("damaged")
        return data

    def _bytes(self, file: int, row: int) -> bytes:
        offset, stored = int(self.offset[row]), int(self.stored[row])
        if self.zipped[row]:
            header = os.pread(file, _LOCAL_HEADER.size, offset)
            if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
                raise MemberError("damaged")
            *_, name, extra = _LOCAL_HEADER.unpack(header)
            offset += _LOCAL_HEADER.size + name + extra
        data = os.pread(file, stored, offset)
        if len(data) != stored:
            raise MemberError("damaged")
        if self.kind[row] == PLAIN:
            return data
        return _inflated(data, int(self.sizes[row]))


def _inflated(data: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than announced is enough to see that there is more.
        return inflater.decompress(data, size + 1)
    except zlib.error:
        raise MemberError("damaged") from None
