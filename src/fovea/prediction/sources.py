"""Which pictures `predict.source` means: a folder, a pattern, an archive, a table or a file."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

from fovea.core.errors import UserError
from fovea.core.places import from_home
from fovea.datasets.tables import read_lines
from fovea.pictures.header import SUFFIXES, sniff
from fovea.pictures.reasons import WORDS, Unusable
from fovea.prediction.pictures import Unreadable, file_bytes, shown_path
from fovea.prediction.source import Source, is_named_like_a_picture, no_picture, of_files
from fovea.prediction.zipped import is_zip, zipped

_HOW = "say which pictures with `kedro run --pipelines=predict predict.source=<folder, pattern, zip, csv or file>`"


def find_source(text: str | None) -> Source:
    """The pictures that `predict.source` means, at least one, in an order that does not change.

    Args:
        text: From the working directory, the home folder (``~``), or absolute.

    Raises:
        UserError: There is no such thing, there is no picture in it, or it must not be opened.
    """
    if not text:
        raise UserError(f"predict.source is not set; {_HOW}")
    path = from_home(text)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    if glob.has_magic(text):
        return _pattern(str(path))
    if path.exists():
        raise UserError(f"predict.source '{text}' is neither a file nor a folder; {_HOW}")
    raise UserError(f"predict.source '{text}' does not exist; {_HOW}")


def _folder(folder: Path) -> Source:
    """All pictures at any depth; links to folders are not followed."""
    what = f"the folder '{folder}'"
    paths = sorted(path for path in folder.rglob("*") if is_named_like_a_picture(path.name) and not path.is_dir())
    if not paths:
        raise no_picture(what)
    return of_files(what, paths, [shown_path(path.relative_to(folder)) for path in paths])


def _pattern(pattern: str) -> Source:
    what = f"the pattern '{pattern}'"
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    paths = [path for path in found if is_named_like_a_picture(path.name) and not path.is_dir()]
    if not paths:
        if not found:
            raise UserError(f"predict.source: {what} matches nothing; put it into quotes, ** stands for any folders")
        raise no_picture(f"what {what} matches", "for the pictures in folders end it in '/**/*'")
    return of_files(what, paths, [shown_path(path) for path in paths])


def _file(path: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix == ".zip" or (suffix not in SUFFIXES and is_zip(path)):
        return zipped(path)
    if suffix == ".csv":
        return _table(path)
    what = f"the file '{path}'"
    try:
        sniff(file_bytes(path))
    except (Unreadable, Unusable) as error:
        reason = WORDS[error.reason] if isinstance(error, Unusable) else str(error)
        raise UserError(f"predict.source: {what} cannot be classified: {reason}; {_HOW}") from None
    return of_files(what, [path], [shown_path(Path(path.name))])


def _table(path: Path) -> Source:
    """The pictures of a CSV file; a path leads from the folder of the table."""
    lines = read_lines(path, "predict.source", ("path",), "path or path,label")
    labels = [line.values.get("label") or None for line in lines]
    names = [line.values["path"] for line in lines]
    source = of_files(f"the table '{path}'", [path.parent / from_home(name) for name in names], names)
    return replace(source, labels=labels if any(labels) else None)
