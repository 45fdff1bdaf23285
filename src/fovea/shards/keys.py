"""What names a picture for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def sample_keys(ids: Sequence[str]) -> NDArray[np.uint64]:
    """Each sample's identity, uint64 of shape [N]: the first 8 bytes, big-endian, of the sha256 of its id."""
    digests = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in ids)
    return np.frombuffer(digests, ">u8").astype(np.uint64)
