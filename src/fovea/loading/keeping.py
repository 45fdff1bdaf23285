"""Which decoded pictures of a run are kept, and where."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from fovea.core.errors import UserError
from fovea.core.places import CACHE, shared_root
from fovea.core.resources import available_memory, usable_cores
from fovea.loading.cache import Cached, Chosen, cache_path
from fovea.shards.selection import Selection

if TYPE_CHECKING:
    from fovea.loading.decoded import Decoded, Pictures
    from fovea.shards import PreparedData

_LOG = logging.getLogger(__name__)

Where = Literal["memory", "disk", "none"]
# Of the memory that is available, `auto` takes no more than this part.
_PART = 0.25


class Keeper:
    """Decides once for all splits that are read in every epoch, and says so in one line of the log.

    Pixels that the shards hold as they are needed are mapped into memory in any case and never kept twice.

    Args:
        wish: `loader.cache`.
        pictures: Of those splits.
        prepared: The data set they are of.
        processes: Training processes on this machine.
        brief: Whether only a few batches are read; then `auto` keeps nothing.
        speaks: Whether this process writes to the log.

    Raises:
        UserError: `memory` is wished for and there is not enough of it.
    """

    def __init__(
        self,
        wish: Literal["auto", "memory", "disk", "none"],
        pictures: Sequence[Decoded],
        prepared: PreparedData,
        *,
        processes: int = 1,
        brief: bool = False,
        speaks: bool = True,
    ) -> None:
        kept = [one for one in pictures if one.split.encoded and len(one)]
        self._prepared = prepared
        self._threads = max(1, usable_cores() // processes)
        self._where: Where = "none"
        if kept and not (brief and wish == "auto"):
            needed, available = sum(one.total_bytes() for one in kept), available_memory() // processes
            self._where = choose(wish, needed, available)
            if speaks:
                _LOG.info("%s", _told(self._where, needed, available, wish))
        # A data module is asked for the same loader more than once; what was decoded for one serves all.
        self._kept: dict[Decoded, Pictures] = {} if self._where == "none" else {one: self._cached(one) for one in kept}

    def pictures(self, decoded: Decoded) -> Pictures:
        """The pictures as a data set takes them, kept or not."""
        return self._kept.get(decoded, decoded)

    def _cached(self, decoded: Decoded) -> Pictures:
        if self._where != "disk":
            return Cached(decoded, path=None, threads=self._threads)
        if not isinstance(decoded.split, Selection):
            return self._on_disk(decoded, self._prepared)
        # Files of the whole splits serve every fold.
        use, origin = decoded.split.name, self._prepared.origin
        parts = [(decoded.twin(split), rows) for split, rows in decoded.split.parts if len(rows)]
        return Chosen([(self._on_disk(one, origin, use if one.split.name != use else ""), rows) for one, rows in parts])

    def _on_disk(self, decoded: Decoded, prepared: PreparedData, use: str = "") -> Cached:
        path = cache_path(shared_root() / CACHE, prepared.meta.name, decoded, prepared.meta.digest, use)
        return Cached(decoded, path=path, threads=self._threads)


def choose(wish: Literal["auto", "memory", "disk", "none"], needed: int, available: int) -> Where:
    """Where decoded pictures are kept.

    Args:
        wish: `loader.cache`.
        needed: Bytes of the pictures.
        available: Bytes of memory that can be had.

    Raises:
        UserError: `memory` is wished for and there is not enough of it.
    """
    if wish == "memory" and needed > available:
        raise UserError(
            f"loader.cache=memory needs {_words(needed)} for the decoded pictures, and {_words(available)} are "
            "available; take loader.cache=disk or none"
        )
    if wish == "auto":
        return "memory" if needed <= available * _PART else "none"
    return wish


def _told(where: Where, needed: int, available: int, wish: str) -> str:
    if where != "none":
        return (
            f"loader: {_words(needed)} of decoded pictures are kept {'in memory' if where == 'memory' else 'on disk'}"
        )
    if wish == "none":
        return "loader: pictures are decoded anew in every epoch"
    return (
        f"loader: pictures are decoded anew in every epoch, as {_words(needed)} are more than a quarter of the "
        f"{_words(available)} of memory available; loader.cache=disk keeps them in a file"
    )


def _words(amount: float) -> str:
    return f"{amount / 1e9:,.1f} GB" if amount >= 1e8 else f"{amount / 1e6:,.1f} MB"
