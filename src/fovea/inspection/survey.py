"""What a manifest says as a whole: counts, sizes, brightness, and which pictures belong together. No layout.

Works on Arrow columns, so that a million rows cost a second and little memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fovea.datasets.samples import SPLITS

STATES = ("kept", "left_out", "quarantined")
RELATIONS = {"copies": "duplicate_of", "near": "duplicate_of", "conflicts": "conflict_with", "leaks": "leaks"}
"""Kinds of pairs, and the column that names the other picture."""

_REPEATING = ["class_name", "split", "status", "reason", "format", "named_as", "mode", "similarity", "shard"]
_COLUMNS = [
    *("id", "label", "width", "height", "turn", "converted", "bytes", "brightness", "row"),
    *("duplicate_of", "conflict_with", "leaks", *_REPEATING),
]
_LISTED = 1000  # pairs and pictures of a kind that are named one by one
_BINS = 32


def read(manifest: Path) -> pa.Table:
    """The columns of a manifest that a survey needs.

    Raises:
        OSError: It cannot be read.
    """
    import pyarrow.parquet as pq

    with manifest.open("rb") as file:
        return pq.read_table(file, columns=_COLUMNS, read_dictionary=_REPEATING)


@dataclass(frozen=True)
class Histogram:
    """How often values fall between `edges`: float64 [B + 1] and int64 [B]; the edges grow by a factor if `log`."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    log: bool = False


def histogram(values: NDArray[Any], low: float | None = None, high: float | None = None) -> Histogram:
    """A histogram of at most 32 bins; with logarithmic ones where the values span more than a factor of 30.

    Args:
        values: At least one, finite.
        low: Where the first bin begins; None: at the smallest value.
        high: Where the last bin ends; None: at the largest value.
    """
    first, last = float(values.min()) if low is None else low, float(values.max()) if high is None else high
    if first == last:
        return Histogram(np.array([first - 0.5, first + 0.5]), np.array([len(values)]))
    log = first > 0 and last / first > 30
    whole = np.issubdtype(values.dtype, np.integer) and last - first < _BINS
    if whole:
        edges = np.arange(first, last + 2) - 0.5
    else:
        edges = np.geomspace(first, last, _BINS + 1) if log else np.linspace(first, last, _BINS + 1)
    counts, edges = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return Histogram(edges.astype(np.float64), counts.astype(np.int64), log)


def having(table: pa.Table, status: str) -> pa.ChunkedArray:
    """Whether each picture has a status."""
    return pc.fill_null(pc.equal(table["status"], status), False)


def numbers(table: pa.Table, column: str, status: str = "kept") -> NDArray[Any]:
    """The known values of a numeric column, of the pictures with a status."""
    values: NDArray[Any] = table[column].filter(having(table, status)).drop_null().to_numpy()
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def tally(table: pa.Table, column: str) -> dict[str, int]:
    """How often each value of a column is there, the most frequent first; null is left out."""
    counted = pc.value_counts(table[column].cast(pa.string()).drop_null())
    found = {str(entry["values"]): int(entry["counts"]) for entry in counted.to_pylist()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def outcomes(table: pa.Table) -> list[tuple[str, str, int]]:
    """Status, reason (empty for kept pictures) and how many, in the order of `STATES` and then by number."""
    keys = pc.binary_join_element_wise(
        table["status"].cast(pa.string()), pc.fill_null(table["reason"].cast(pa.string()), ""), " "
    )
    counted = pc.value_counts(keys).to_pylist()
    rows = []
    for entry in counted:
        status, _, reason = str(entry["values"]).partition(" ")
        rows.append((status, reason, int(entry["counts"])))
    return sorted(rows, key=lambda row: (STATES.index(row[0]), -row[2], row[1]))


def by_class(table: pa.Table, classes: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Pictures of each class, int64 [K], for every split, and for `left_out` and `quarantined`."""
    labels = pc.fill_null(table["label"], -1).to_numpy()
    place = pc.if_else(
        having(table, "kept"),
        table["split"].cast(pa.string()),
        table["status"].cast(pa.string()),
    )
    result = {}
    for name in (*SPLITS, "left_out", "quarantined"):
        chosen = labels[pc.fill_null(pc.equal(place, name), False).to_numpy()]
        result[name] = np.bincount(chosen[chosen >= 0], minlength=len(classes)).astype(np.int64)
    return result


def rows_of(table: pa.Table, ids: pa.ChunkedArray) -> NDArray[np.int64]:
    """The row of each id, int64 [M]; -1 of one that is not there. Cheap for a few ids of a million."""
    wanted = pc.unique(ids)
    places = pc.index_in(table["id"], value_set=wanted)
    found = np.flatnonzero(pc.is_valid(places).to_numpy())
    at = np.full(len(wanted), -1, np.int64)
    at[places.take(found).to_numpy()] = found
    rows: NDArray[np.int64] = at[pc.index_in(ids, value_set=wanted).to_numpy()]
    return rows


def related(table: pa.Table, kind: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows that a manifest says belong together.

    Args:
        table: The manifest.
        kind: One of `RELATIONS`.

    Returns:
        Rows int64 [P], and of each the other's row int64 [P], -1 where it is not there. A pair stands once.
    """
    named = pc.is_valid(table[RELATIONS[kind]])
    if kind in ("copies", "near"):
        similarity = "exact" if kind == "copies" else "near"
        named = pc.and_(named, pc.fill_null(pc.equal(table["similarity"], similarity), False))
    rows = np.flatnonzero(named.to_numpy()).astype(np.int64)
    partners = rows_of(table, table[RELATIONS[kind]].take(rows))
    pairs = np.sort(np.stack([rows, partners], axis=1), axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    first = np.sort(first)
    return rows[first], partners[first]


def summary(table: pa.Table, classes: Sequence[str]) -> dict[str, Any]:
    """Everything that the report tells, as plain data for JSON."""
    counts = by_class(table, classes)
    ids = table["id"]

    def pairs(kind: str) -> dict[str, Any]:
        rows, _ = related(table, kind)
        column = table[RELATIONS[kind]]
        listed = [{"id": ids[row].as_py(), "other": column[row].as_py()} for row in rows[:_LISTED].tolist()]
        return {"count": len(rows), "pairs": listed}

    quarantined = table.filter(having(table, "quarantined"))
    return {
        "pictures": len(table),
        "outcomes": [
            {"status": status, "reason": reason or None, "count": count} for status, reason, count in outcomes(table)
        ],
        "classes": {
            name: {place: int(values[label]) for place, values in counts.items()} for label, name in enumerate(classes)
        },
        "width": spread(numbers(table, "width")),
        "height": spread(numbers(table, "height")),
        "bytes": spread(numbers(table, "bytes")),
        "brightness": spread(numbers(table, "brightness")),
        "formats": tally(table, "format"),
        "modes": tally(table, "mode"),
        "oddities": oddities(table),
        "quarantined": [
            {"id": picture, "reason": reason}
            for picture, reason in zip(
                quarantined["id"][:_LISTED].to_pylist(), quarantined["reason"][:_LISTED].to_pylist(), strict=True
            )
        ],
        **{kind: pairs(kind) for kind in RELATIONS},
    }


def oddities(table: pa.Table) -> dict[str, int]:
    """Kept pictures that are not quite what they seem: how many were converted, turned, or misnamed."""
    kept = table.filter(having(table, "kept"))
    named, found = (kept[name].cast(pa.string()) for name in ("named_as", "format"))
    misnamed = pc.and_(pc.not_equal(named, ""), pc.not_equal(named, found))

    def count(mask: Any) -> int:
        return int(pc.sum(pc.fill_null(mask, False)).as_py() or 0)

    return {
        "converted": count(kept["converted"]),
        "turned": count(pc.greater(kept["turn"], 1)),
        "misnamed": count(misnamed),
    }


def spread(values: NDArray[Any]) -> Mapping[str, Any] | None:
    """Smallest, median and largest value, and the histogram; None without values."""
    if not len(values):
        return None
    bins = histogram(values)
    return {
        "min": values.min().item(),
        "median": float(np.median(values)),
        "max": values.max().item(),
        "edges": [round(edge, 6) for edge in bins.edges.tolist()],
        "counts": bins.counts.tolist(),
    }
