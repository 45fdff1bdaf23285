"""The report on a prepared data set: a page for people, JSON for programs, the same bytes for the same data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core import html
from fovea.datasets.samples import SPLITS
from fovea.inspection import charts, survey
from fovea.inspection.gallery import Gallery

if TYPE_CHECKING:
    import pyarrow as pa

    from fovea.shards import PreparedData

PAGE, FACTS = "data_report.html", "data_report.json"

REASONS = {
    "empty": "the file has no bytes",
    "missing": "the file is named but not there",
    "unreadable": "the file cannot be opened",
    "truncated": "the file ends too early",
    "damaged": "the content is corrupt",
    "not_an_image": "the file is no picture",
    "unsupported": "a kind of picture that is not read",
    "too_large": "more pixels or bytes than prepare.max_pixels and prepare.max_mb allow",
    "bomb": "far more pixels than its bytes can hold",
    "unsafe_name": "the member's name leads out of the archive",
    "not_a_file": "the member is a link or a device",
    "duplicate_member": "the archive has two members of this name",
    "unsupported_compression": "the archive's compression is not read",
    "encrypted": "the member is encrypted",
    "duplicate": "the same bytes as an earlier picture",
    "label_conflict": "the same bytes as an earlier picture of another class",
    "straddles_splits": "nearly the same as a picture of another split",
    "leakage": "the official test or validation split has it too",
}
_TITLES = {
    "copies": ("Exact copies", "The same bytes as an earlier picture of the same class."),
    "conflicts": ("Label conflicts", "The same bytes under two classes. At most one of the labels is right."),
    "near": ("Near duplicates", "Pictures whose perceptual hashes all but agree. Within a split both are kept."),
    "leaks": ("Leakage", "A training picture that a split for validation or test has too: scores on it are too good."),
}
_SIZES = {
    "width": ("width", "px"),
    "height": ("height", "px"),
    "bytes": ("file size", "bytes"),
    "brightness": ("brightness", "mean luma, 0 to 255"),
}


def write(prepared: PreparedData) -> list[str]:
    """Writes the report into the folder of the prepared data, before or after that is final.

    Args:
        prepared: The data set. Its manifest, its shards and its quarantine are read, a bounded number of pictures is
            decoded.

    Returns:
        The names of the two files.

    Raises:
        OSError: A file cannot be read or written.
    """
    meta = prepared.meta
    table = survey.read(prepared.path / meta.manifest.name)
    facts: dict[str, Any] = {
        "name": meta.name,
        "digest": meta.digest,
        "source_digest": meta.source_digest,
        **survey.summary(table, meta.classes),
    }
    text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (prepared.path / FACTS).write_text(text + "\n", encoding="utf-8")
    page = html.page(f"{meta.name}: prepared data", _body(prepared, table, facts))
    (prepared.path / PAGE).write_text(page, encoding="utf-8")
    return [PAGE, FACTS]


def _body(prepared: PreparedData, table: pa.Table, facts: dict[str, Any]) -> Iterator[str]:
    meta = prepared.meta
    kept = sum(row["count"] for row in facts["outcomes"] if row["status"] == "kept")
    yield html.heading(meta.name, level=1)
    yield html.paragraph(f"{kept:,} of {len(table):,} pictures kept", "headline")
    yield html.paragraph(f"Prepared data {meta.digest[:12]}, from source {meta.source_digest[:12]}.", "soft")
    yield html.table(
        ["status", "reason", "what it means", "pictures", "share"],
        (
            (
                row["status"].replace("_", " "),
                row["reason"] or "",
                REASONS.get(row["reason"] or "", ""),
                row["count"],
                f"{100 * row['count'] / len(table):.2f} %",
            )
            for row in facts["outcomes"]
        ),
    )
    counts = survey.by_class(table, meta.classes)
    yield html.heading("Classes and splits")
    yield from _classes(counts, list(meta.classes))
    yield html.heading("Sizes and brightness")
    yield from _sizes(table)
    yield from _formats(facts)
    gallery = Gallery(prepared, table)
    yield html.heading("Samples")
    yield html.paragraph("Kept pictures, spread evenly over the order of the source.", "soft")
    yield from gallery.samples()
    yield html.heading("Quarantine")
    yield from gallery.quarantine()
    for kind, (title, words) in _TITLES.items():
        yield html.heading(title)
        yield from gallery.pairs(kind, words)


def _classes(counts: dict[str, NDArray[np.int64]], classes: list[str]) -> Iterator[str]:
    kept = np.sum([counts[split] for split in SPLITS], axis=0)
    smallest = int(kept.min(initial=0))
    total = {name: int(values.sum()) for name, values in counts.items()}
    sums = ", ".join(f"{name} {total[name]:,}" for name in SPLITS)
    balance = f"; the largest has {kept.max() / smallest:.2f} times the pictures of the smallest" if smallest else ""
    yield html.paragraph(f"{len(classes):,} classes, {sums}{balance}.")
    yield charts.legend()
    if len(classes) <= charts.MOST_CLASSES:
        yield charts.class_table(counts, classes, range(len(classes)))
        return
    most, fewest = charts.ends(counts)
    yield html.paragraph(f"The {len(most)} classes with the most pictures:", "soft")
    yield charts.class_table(counts, classes, most)
    yield html.paragraph(f"The {len(fewest)} with the fewest:", "soft")
    yield charts.class_table(counts, classes, fewest)
    yield html.details(f"All {len(classes):,} classes", [charts.class_table(counts, classes, range(len(classes)))])


def _sizes(table: pa.Table) -> Iterator[str]:
    drawn, alike = [], []
    for column, (name, unit) in _SIZES.items():
        values = survey.numbers(table, column)
        if len(values) and values.min() == values.max():
            alike.append(f"{name} {html.shown(values[0].item())}")
        elif len(values):
            bounds = (0.0, 255.0) if column == "brightness" else ()
            drawn.append(charts.histogram(survey.histogram(values, *bounds), name, unit))
    if alike:
        yield html.paragraph(f"The same for every picture: {', '.join(alike)}.")
    yield html.gallery(drawn)


def _formats(facts: dict[str, Any]) -> Iterator[str]:
    oddities = facts["oddities"]
    rows = [
        *((f"format {name}", count) for name, count in facts["formats"].items()),
        *((f"mode {name}", count) for name, count in facts["modes"].items()),
        *((f"kept, {name}", count) for name, count in oddities.items() if count),
    ]
    yield html.table(["files", "pictures"], rows)
