"""A comparison as one self-contained page, with the table of all changed pictures beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core import html
from fovea.core.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

    from fovea.comparison.comparison import Comparison
    from fovea.comparison.pairing import Verdict
    from fovea.inspection.thumbnails import Thumbnail

Show = Callable[[str], "Thumbnail | None"]
"""Gives the picture of an id in small, None where it is not at hand."""

PAGE = "compare.html"
CHANGED = "changed.csv"

_PICTURES = 48  # of each change


def write(comparison: Comparison, folder: Path, show: Show) -> Path:
    """Writes the page and the table into `folder`; gives the page. Other files of the folder stay.

    Args:
        comparison: What to tell.
        folder: Where to; need not exist yet.
        show: Gives pictures by id.

    Raises:
        RunError: The disk is full or not writable.
    """
    body = html.page(" and ".join(comparison.labels), _body(comparison, show))
    with atomic_file(folder / CHANGED) as temporary:
        comparison.changed().to_csv(temporary, index=False, lineterminator="\n")
    with atomic_file(folder / PAGE) as temporary:
        temporary.write_text(body, encoding="utf-8")
    return folder / PAGE


def _body(comparison: Comparison, show: Show) -> Iterator[str]:
    first, *others = comparison.labels
    yield html.heading(f"{', '.join(others)} compared with {first}", level=1)
    for sentence in comparison.sentences():
        yield html.paragraph(sentence, "headline" if len(others) == 1 and len(sentence) < 60 else "")
    for warning in comparison.warnings():
        yield html.paragraph(f"Warning: {warning}.")
    yield html.table(
        ["run", "id", "status", "command"],
        [
            (name, run.run_id, run.status, run.tags.get("command"))
            for name, run in zip(comparison.labels, comparison.runs, strict=True)
        ],
    )
    yield html.heading("Paired tests on the same test pictures")
    yield html.table(*comparison.tests())
    tables = [(column, title, rows) for column, title, rows in comparison.tables() if rows]
    for column, title, rows in tables:
        yield html.heading(title)
        yield html.table([column, *comparison.labels], [(name, *values) for name, values in rows])
    for verdict, name in zip(comparison.verdicts, others, strict=True):
        yield html.heading(f"Pictures that changed from {first} to {name}")
        yield from _changes(verdict, show)


def _changes(verdict: Verdict, show: Show) -> Iterator[str]:
    parts: Mapping[str, pd.DataFrame] = {
        "right to wrong": verdict.pairing.lost,
        "wrong to right": verdict.pairing.won,
    }
    for change, table in parts.items():
        yield html.paragraph(f"From {change}: {len(table):,}")
        if not len(table):
            continue
        columns = ["id", "label", "first", "second", "first_probability", "second_probability"]
        shown = table[columns].head(_PICTURES).itertuples(index=False, name=None)
        yield html.gallery(_figure(row, show(row[0])) for row in shown)
        if len(table) > _PICTURES:
            yield html.paragraph(f"The first {_PICTURES} of {len(table):,}; all are in {CHANGED}.", "soft")


def _figure(row: tuple[str, str, str, str, float, float], picture: Thumbnail | None) -> str:
    """A picture over its id, its class, and what the two runs said of it and how sure they were."""
    name, label, first, second, first_probability, second_probability = row
    parts = [picture.markup(f"{name}, {label}")] if picture is not None else []
    said = f"{first} ({first_probability:.2f}) → {second} ({second_probability:.2f})"
    return html.figure(parts, [name, f"is {label}", said])
