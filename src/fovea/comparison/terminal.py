"""A comparison as tables of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from fovea.comparison.comparison import Comparison
    from fovea.comparison.differences import Row
    from fovea.comparison.pairing import Verdict

_IDS = 10  # of each change
_NOTHING = "-"


def rendered(comparison: Comparison) -> Iterator[RenderableType]:
    """The tables, then the sentences that they come to."""
    from rich.text import Text

    for column, title, rows in comparison.tables():
        yield table_of(title, [column, *comparison.labels], rows)
    yield _table(f"Against {comparison.labels[0]}, on the same test pictures", *comparison.tests())
    for verdict, name in zip(comparison.verdicts, comparison.labels[1:], strict=True):
        yield Text("\n".join(_changes(verdict, name)) + "\n")
    for sentence in comparison.sentences():
        yield Text(sentence)


def table_of(title: str, head: Sequence[str], rows: Sequence[Row]) -> RenderableType:
    """A table with a column a run; a line where it would have no rows."""
    from rich.text import Text

    return _table(title, head, [(name, *values) for name, values in rows]) if rows else Text(f"{title}: none\n")


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str | None]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_NOTHING if cell is None else cell) for cell in row))
    return table


def _changes(verdict: Verdict, name: str) -> Iterator[str]:
    for change, ids in (
        ("right to wrong", verdict.pairing.lost["id"].tolist()),
        ("wrong to right", verdict.pairing.won["id"].tolist()),
    ):
        more = f" and {len(ids) - _IDS:,} more" if len(ids) > _IDS else ""
        yield f"{name}, {change}: {', '.join(ids[:_IDS]) or 'none'}{more}"
