"""Collects what is found out about the pictures of one task, a column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.datasets.samples import Samples
from fovea.shards import columns

if TYPE_CHECKING:
    from fovea.pictures import Examined
    from fovea.shards.look import Unusable, Usable
    from fovea.shards.tasks import Rules


class Facts:
    """The columns of `columns.FACTS` for the pictures of a task, filled row by row.

    Args:
        samples: The pictures.
    """

    def __init__(self, samples: Samples) -> None:
        count = len(samples)
        self._columns: dict[str, list[Any]] = {name: [None] * count for name in columns.FACTS.names}
        self._columns["id"] = list(samples.ids)
        self._columns["member"] = list(samples.members)
        self._columns["label"] = [label if label >= 0 else None for label in samples.labels.tolist()]
        self._columns["split"] = [-1] * count
        self._columns["converted"] = [False] * count
        self._shown: dict[int, bytes | None] = {}

    def keep(self, at: int, split: int, row: int, picture: Usable) -> None:
        """A picture that went into the shard.

        Args:
            at: Its number in the task.
            split: Index into `SPLITS`.
            row: Its row in the shard.
            picture: What is known of it.
        """
        seen = _seen(picture.examined)
        self._set(at, split=split, row=row, bytes=len(picture.data), sha256=picture.digest, **seen)

    def quarantine(self, at: int, picture: Unusable, shown: bytes | None) -> None:
        """A picture that cannot be used.

        Args:
            at: Its number in the task.
            picture: What is known of it.
            shown: The first of its bytes, to be looked at; None where there are none.
        """
        seen = _seen(picture.examined) if picture.examined is not None else {}
        size = None if picture.data is None else len(picture.data)
        self._set(at, reason=picture.reason, bytes=size, sha256=picture.digest, **seen)
        self._shown[at] = shown

    def add_raw(self, digests: Sequence[bytes], splits: NDArray[np.int8], rows: NDArray[np.intp], rules: Rules) -> None:
        """All pictures of a task of raw pixels."""
        count, side = len(digests), rules.image_size
        mode = "L" if rules.channels == 1 else "RGB"
        same = {"mode": mode, "width": side, "height": side, "turn": 1, "bytes": side * side * rules.channels}
        self._columns |= {name: [value] * count for name, value in same.items()}
        self._columns |= {"sha256": list(digests), "split": splits.tolist(), "row": rows.tolist()}

    def columns(self) -> dict[str, list[Any]]:
        """All of them, by name."""
        return self._columns

    def unusable(self) -> dict[str, list[Any]]:
        """The columns of `columns.QUARANTINE`."""
        rows = sorted(self._shown)
        chosen = {name: [self._columns[name][row] for row in rows] for name in ("id", "member", "label", "reason")}
        return chosen | {"image": [self._shown[row] for row in rows]}

    def _set(self, at: int, **values: Any) -> None:
        for name, value in values.items():
            self._columns[name][at] = value


def _seen(examined: Examined) -> dict[str, Any]:
    known = examined.width > 0 and examined.height > 0
    facts = {
        "format": examined.format or None,
        "named_as": examined.named_as or None,
        "mode": examined.mode or None,
        "width": examined.width if known else None,
        "height": examined.height if known else None,
    }
    if examined.reason is not None:
        return facts
    return facts | {
        "turn": examined.turn,
        "converted": examined.converted,
        "phash": examined.phash,
        "dhash": examined.dhash,
        "brightness": examined.brightness,
    }
