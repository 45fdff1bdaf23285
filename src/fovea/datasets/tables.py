"""A CSV table of pictures: columns ``path`` and ``label``, and ``split`` where the splits are given."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO, cast

from fovea.core.errors import UserError, nearest
from fovea.core.places import from_home
from fovea.datasets.archives import decoded, distinct
from fovea.datasets.folders import Group, is_within
from fovea.datasets.samples import SPLITS, SplitName

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Row:
    path: bytes
    label: str
    split: str | None


def read_table(folder: Path, table: str) -> list[Group]:
    """The pictures of a table, class by class and split by split.

    A path leads from `folder`. One that leads out of it has the problem ``unsafe_name``. A picture that is named more
    than once is there more than once, as ``a.jpg#2``; prepare tells duplicates and contradictions by the content.

    Args:
        folder: The folder of the pictures, absolute.
        table: The CSV file, from `folder` or absolute; UTF-8, commas, names of the columns in its first line.

    Raises:
        UserError: There is no such file, it is no CSV file of these columns, or a line lacks a value.
    """
    path = folder / from_home(table)
    rows = _rows(path, folder)
    ids = distinct([decoded(row.path) for row in rows])
    again = len(rows) - len({row.path for row in rows})
    if again:
        _LOG.warning("'%s' names a picture again in %s lines", path, f"{again:,}")
    groups: dict[tuple[str, str | None], Group] = {}
    for row, name in sorted(zip(rows, ids, strict=True), key=lambda pair: pair[1]):
        group = groups.setdefault(
            (row.label, row.split), Group(row.label, cast("SplitName | None", row.split), [], [], [])
        )
        group.paths.append(row.path)
        group.problems.append(None if is_within(folder, row.path) else "unsafe_name")
        cast("list[str]", group.ids).append(name)
    return list(groups.values())


def _rows(path: Path, folder: Path) -> list[_Row]:
    lines = read_lines(path, "data.table", ("path", "label"), "path,label or path,label,split")
    return [
        _Row(_relative(one.values["path"], folder), one.values["label"], _split(one.values, one.where)) for one in lines
    ]


class Line(NamedTuple):
    """A line of a table: the values of its columns, without spaces around them, and where it stands, in words."""

    values: dict[str, str]
    where: str


def read_lines(path: Path, option: str, needed: Sequence[str], columns: str) -> list[Line]:
    """The lines of a CSV file: UTF-8, commas, names of the columns in its first line.

    Args:
        path: The file.
        option: What names it in the configuration, for messages.
        needed: Columns that it must have, and a value in every line.
        columns: How to name the columns, for messages.

    Raises:
        UserError: There is no such file, it is no CSV file of these columns, or a line lacks a value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(_parsed(stream, path, needed, columns))
    except FileNotFoundError:
        raise UserError(f"{option} is '{path}' but there is no such file; correct {option}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"'{path}' is not UTF-8 text (byte {error.start:,}); save the table as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"'{path}' is no CSV file ({error}); save the table as CSV with commas") from None
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error.strerror}); correct {option}") from None


def _parsed(stream: TextIO, path: Path, needed: Sequence[str], wanted: str) -> Iterator[Line]:
    reader = csv.DictReader(stream, strict=True, skipinitialspace=True)
    columns = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    for name in needed:
        if name not in columns:
            found = f"its first line has {', '.join(columns)[:200]}" if columns else "it is empty"
            raise UserError(f"'{path}' has no column '{name}': {found}; name the columns {wanted}")
    count = 0
    for row in reader:
        count += 1
        where = f"line {reader.line_num:,} of '{path}'"
        if any(value.strip() for value in cast("list[str]", row.get(None, []))):
            raise UserError(f"{where} has more values than columns; put quotes around a value that holds a comma")
        values = {name: (row.get(name) or "").strip() for name in columns}
        for name in needed:
            if not values[name] or "\0" in values[name]:
                raise UserError(f"{where} has no {name}; fill it in or remove the line")
        yield Line(values, where)
    if not count:
        raise UserError(f"'{path}' has no lines after its first; list the pictures in it")


def _relative(name: str, folder: Path) -> bytes:
    path = Path(os.path.normpath(folder / name))
    return os.fsencode(path.relative_to(folder) if path.is_relative_to(folder) else Path(name))


def _split(values: Mapping[str, str], where: str) -> str | None:
    if "split" not in values:
        return None
    split = values["split"].lower()
    if split not in SPLITS:
        raise UserError(
            f"{where} has split '{split}'{nearest(split, SPLITS)}"
            if split
            else f"{where} has no split; give every line train, val or test, or remove the column"
        )
    return split
