"""A CSV table of pictures: columns ``path`` and ``label``, and ``split`` where the splits are given."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

from fovea.core.errors import UserError, nearest
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
    path = folder / Path(table).expanduser()
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
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(_parsed(stream, path, folder))
    except FileNotFoundError:
        raise UserError(f"data.table is '{path}' but there is no such file; correct data.table") from None
    except UnicodeDecodeError as error:
        raise UserError(f"'{path}' is not UTF-8 text (byte {error.start:,}); save the table as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"'{path}' is no CSV file ({error}); save the table as CSV with commas") from None
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error.strerror}); correct data.table") from None


def _parsed(stream: TextIO, path: Path, folder: Path) -> Iterator[_Row]:
    reader = csv.DictReader(stream, strict=True, skipinitialspace=True)
    columns = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    for name in ("path", "label"):
        if name not in columns:
            found = f"its first line has {', '.join(columns)[:200]}" if columns else "it is empty"
            raise UserError(
                f"'{path}' has no column '{name}': {found}; name the columns path,label or path,label,split"
            )
    count = 0
    for row in reader:
        count += 1
        where = f"line {reader.line_num:,} of '{path}'"
        values = {name: (row.get(name) or "").strip() for name in ("path", "label")}
        for name, value in values.items():
            if not value or "\0" in value:
                raise UserError(f"{where} has no {name}; fill it in or remove the line")
        yield _Row(_relative(values["path"], folder), values["label"], _split(row, columns, where))
    if not count:
        raise UserError(f"'{path}' has no lines after its first; list the pictures in it")


def _relative(name: str, folder: Path) -> bytes:
    path = Path(os.path.normpath(folder / name))
    return os.fsencode(path.relative_to(folder) if path.is_relative_to(folder) else Path(name))


def _split(row: dict[str, str], columns: list[str], where: str) -> str | None:
    if "split" not in columns:
        return None
    split = (row.get("split") or "").strip().lower()
    if split not in SPLITS:
        raise UserError(
            f"{where} has split '{split}'{nearest(split, SPLITS)}"
            if split
            else f"{where} has no split; give every line train, val or test, or remove the column"
        )
    return split
