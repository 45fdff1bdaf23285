"""The pictures of a data report: samples of every class, the quarantine, and pairs that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from fovea.core import html
from fovea.inspection import survey
from fovea.inspection.charts import MOST_CLASSES
from fovea.inspection.thumbnails import Shards, damaged, dump, spaced

if TYPE_CHECKING:
    import pyarrow as pa

    from fovea.shards import PreparedData

_PER_CLASS = 10
_QUARANTINED = 60
_PAIRS = 24


class Gallery:
    """Draws from one prepared data set.

    Args:
        prepared: The data set.
        table: The columns of its manifest that `survey.read` gives.
    """

    def __init__(self, prepared: PreparedData, table: pa.Table) -> None:
        meta = prepared.meta
        self._prepared = prepared
        self._table = table
        self._classes = list(meta.classes)
        self._shards = Shards(prepared.path, meta.channels, raw=meta.encoding == "raw")

    def samples(self) -> Iterator[str]:
        """A row of kept pictures for each class; of many classes, some."""
        rows = np.flatnonzero(survey.having(self._table, "kept").to_numpy())
        labels = self._table["label"].take(rows).to_numpy()
        order = np.argsort(labels, kind="stable")
        starts = np.searchsorted(labels[order], np.arange(len(self._classes) + 1))
        chosen = spaced(np.arange(len(self._classes)), MOST_CLASSES).tolist()
        for label in chosen:
            mine = rows[order[starts[label] : starts[label + 1]]]
            name = self._classes[label]
            parts = [self._picture(row, name) for row in spaced(mine, _PER_CLASS).tolist()]
            yield html.figure(parts, [f"{name}, {_counted(len(mine), 'picture')}"], "row")
        if len(chosen) < len(self._classes):
            yield html.paragraph(f"{len(chosen)} of {len(self._classes):,} classes.", "soft")

    def quarantine(self) -> Iterator[str]:
        """What was left aside because it cannot be used: shown where it can be, else its first bytes."""
        kept = self._prepared.quarantine()
        total = int(pc.sum(survey.having(self._table, "quarantined")).as_py() or 0)
        if not total:
            yield html.paragraph("Nothing was quarantined.")
            return
        chosen = _mixed(kept["reason"].to_pylist(), _QUARANTINED)
        entries = kept.take(chosen).to_pylist()
        rows = survey.rows_of(self._table, kept["id"].take(chosen)).tolist()
        sizes = [None if row < 0 else self._table["bytes"][row].as_py() for row in rows]
        yield html.paragraph(f"{_counted(total, 'file')}{_shown(len(entries), total)}.")
        yield html.gallery(self._entry(entry, size) for entry, size in zip(entries, sizes, strict=True))

    def pairs(self, kind: str, words: str) -> Iterator[str]:
        """Pictures side by side with the one that the manifest names beside them.

        Args:
            kind: One of `survey.RELATIONS`.
            words: What such pairs are.
        """
        rows, others = survey.related(self._table, kind)
        if not len(rows):
            yield html.paragraph("None.")
            return
        chosen = spaced(np.arange(len(rows)), _PAIRS)
        yield html.paragraph(f"{words} {_counted(len(rows), 'pair')}{_shown(len(chosen), len(rows))}.")
        yield html.gallery(
            html.figure(
                [self._picture(place, "") for place in sorted((other, row)) if place >= 0],
                [self._words(place) for place in sorted((other, row)) if place >= 0],
            )
            for row, other in zip(rows[chosen].tolist(), others[chosen].tolist(), strict=True)
        )

    def _entry(self, entry: dict[str, Any], size: int | None) -> str:
        data = entry["image"] or b""
        picture = damaged(data)
        shown = picture.markup(f"What can be seen of {entry['id']}") if picture else html.listing(dump(data))
        label = entry["label"]
        named = f", {self._classes[label]}" if label is not None and 0 <= label < len(self._classes) else ""
        length = "" if size is None else f", {size:,} bytes"
        return html.figure([shown], [entry["id"], f"{entry['reason']}{named}{length}"])

    def _picture(self, row: int, alt: str) -> str:
        shard, at = (self._table[column][row].as_py() for column in ("shard", "row"))
        picture = None if shard is None or at is None else self._shards.thumbnail(shard, at)
        return picture.markup(alt or self._table["id"][row].as_py()) if picture else html.listing("not in a shard")

    def _words(self, row: int) -> str:
        name, split, status, label, reason = (
            self._table[column][row].as_py() for column in ("id", "split", "status", "class_name", "reason")
        )
        return f"{name}: {label}, {split if status == 'kept' else f'{status} ({reason})'.replace('_', ' ')}"


def _mixed(reasons: list[str], count: int) -> list[int]:
    """At most `count` rows, every reason in turn, so that a rare one is not crowded out."""
    groups: dict[str, list[int]] = {}
    for row, reason in enumerate(reasons):
        groups.setdefault(reason, []).append(row)
    turns = chain.from_iterable(zip_longest(*(groups[reason] for reason in sorted(groups))))
    chosen = [row for row in turns if row is not None][:count]
    return sorted(chosen, key=lambda row: (reasons[row], row))


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _shown(count: int, total: int) -> str:
    return "" if count == total else f", {count} of them shown"
