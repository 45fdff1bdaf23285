"""What must be true of every manifest, as a pandera schema.

Kedro's own `validator:` key checks what a node passes on as a whole. Here that is the handle of a folder: the manifest
inside it would be looked at after the folder is final, and read whole. So it is checked part by part while it is
written, and a breach leaves no folder behind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fovea.core.errors import RunError
from fovea.datasets.samples import PROBLEMS, SPLITS
from fovea.shards import columns

if TYPE_CHECKING:
    import pandas as pd

UNUSABLE = ("empty", "truncated", "damaged", "not_an_image", "unsupported", "too_large", "bomb")
_HASH, _DIGEST = r"[0-9a-f]{16}", r"[0-9a-f]{64}"
_SHOWN = 3


def check_manifest(part: Any, name: str, classes: int) -> None:
    """Checks some rows of a manifest.

    Args:
        part: An Arrow table with the columns of `columns.MANIFEST`.
        name: The data set's, for the message.
        classes: How many classes there are.

    Raises:
        RunError: Rows break a rule; the first of them, the column and the rule are named.
    """
    import pandas as pd
    from pandera.errors import SchemaErrors

    nullable = {pa.int8(): pd.Int8Dtype(), pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    frame = part.to_pandas(types_mapper=nullable.get)
    try:
        _schema(classes).validate(frame, lazy=True)
    except SchemaErrors as error:
        raise RunError(_breach(error.failure_cases, frame, name)) from error


def _breach(cases: pd.DataFrame, frame: pd.DataFrame, name: str) -> str:
    first = cases.iloc[0]
    alike = cases[(cases["column"] == first["column"]) & (cases["check"] == first["check"])]
    rows = dict.fromkeys(alike["index"].dropna().tolist())
    ids = [str(frame["id"].iloc[int(row)]) for row in rows]
    named = ", ".join(f"'{one}'" for one in ids[:_SHOWN]) + (
        f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    )
    where = f"column '{first['column']}'" if first["column"] in frame.columns else "its rows"
    return (
        f"the manifest of data '{name}' is not as it must be: in {where} the rule '{first['check']}' does not hold "
        f"for {named or 'the table'}; what the reader of the source gives is wrong there"
    )


@cache
def _schema(classes: int) -> Any:
    from pandera.pandas import Check, Column, DataFrameSchema

    def text(*checks: Any, nullable: bool = True, unique: bool = False) -> Any:
        return Column(None, list(checks), nullable=nullable, unique=unique)

    def number(kind: str, least: float, most: float | None = None, *, nullable: bool = True) -> Any:
        return Column(kind, [Check.ge(least), *([Check.le(most)] if most is not None else [])], nullable=nullable)

    some = Check.str_length(min_value=1)
    hashes = Check.str_matches(f"^{_HASH}$")
    return DataFrameSchema(
        {
            "id": text(some, nullable=False, unique=True),
            "member": text(some, nullable=False),
            "label": number("Int32", 0, classes - 1),
            "class_name": text(),
            "split": text(Check.isin(SPLITS)),
            "status": text(Check.isin(columns.STATUSES), nullable=False),
            "reason": text(Check.isin({*PROBLEMS, *UNUSABLE, *columns.LEFT_OUT_REASONS})),
            "format": text(some),
            "named_as": text(some),
            "mode": text(some),
            "width": number("Int32", 1),
            "height": number("Int32", 1),
            "turn": number("Int8", 1, 8),
            "converted": Column(bool),
            "bytes": number("Int64", 0),
            "sha256": text(Check.str_matches(f"^{_DIGEST}$")),
            "phash": text(hashes),
            "dhash": text(hashes),
            "brightness": number("float32", 0, 255),
            "duplicate_of": text(some),
            "similarity": text(Check.isin(["exact", "near"])),
            "conflict_with": text(some),
            "leaks": text(some),
            "shard": text(some),
            "row": number("Int32", 0),
        },
        checks=[Check(rule, name=words) for words, rule in _RULES.items()],
        strict=True,
        ordered=True,
    )


def _kept(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame["status"] == columns.KEPT


def _usable(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame["status"] != columns.QUARANTINED


_RULES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "whatever is not kept has a reason": lambda frame: frame["reason"].isna() == _kept(frame),
    "whatever is kept has a split": lambda frame: frame["split"].notna() == _kept(frame),
    "whatever can be used has a label": lambda frame: frame["label"].notna() | ~_usable(frame),
    "a label has a name": lambda frame: frame["label"].notna() == frame["class_name"].notna(),
    "whatever can be used lies in a shard": lambda frame: (
        (frame["shard"].notna() == _usable(frame)) & (frame["row"].notna() == _usable(frame))
    ),
    "whatever can be used has a size": lambda frame: (
        (frame["width"].notna() & frame["height"].notna() & frame["sha256"].notna()) | ~_usable(frame)
    ),
    "no picture is a copy of itself": lambda frame: (
        frame["duplicate_of"].isna() | (frame["duplicate_of"] != frame["id"])
    ),
    "a copy is exact or near": lambda frame: frame["duplicate_of"].notna() == frame["similarity"].notna(),
}
