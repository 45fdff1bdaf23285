"""The manifest in numbers, and whether they are good enough to go on."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.core.files import atomic_file
from fovea.datasets.samples import SPLITS
from fovea.shards.collect import Collected
from fovea.shards.judge import Verdict

_LOG = logging.getLogger(__name__)
_SHOWN = 3


def summary(collected: Collected, verdict: Verdict, classes: Sequence[str]) -> dict[str, Any]:
    """How many pictures there are of each kind.

    Args:
        collected: The pictures.
        verdict: Which of them are left out.
        classes: The names of the classes.

    Returns:
        `pictures`, `kept`, `left_out`, `quarantined`; `reasons`: by reason; `duplicates`: exact copies; `conflicts`:
        pictures that another label has too; `near_duplicates`; `leaks`: pictures that another official split has too;
        `converted`; `classes`: kept pictures of each class.
    """
    usable = collected.numbers("split", -1) >= 0
    kept = usable & ~verdict.left_out
    reasons = {str(entry["values"]): int(entry["counts"]) for entry in _rejected(collected).value_counts().to_pylist()}
    for code in np.unique(verdict.reason[verdict.left_out]).tolist():
        rows = np.flatnonzero(verdict.reason == code)
        reasons[str(verdict.why(int(rows[0])))] = len(rows)
    per_class = np.bincount(collected.numbers("label", -1)[kept], minlength=len(classes))
    copies = verdict.duplicate_of >= 0
    return {
        "pictures": len(collected),
        "kept": int(kept.sum()),
        "left_out": int(verdict.left_out.sum()),
        "quarantined": int((~usable).sum()),
        "reasons": dict(sorted(reasons.items())),
        "duplicates": int((copies & ~verdict.near).sum()),
        "near_duplicates": int((copies & verdict.near).sum()),
        "conflicts": int((verdict.conflict_with >= 0).sum()),
        "leaks": int((verdict.leaks >= 0).sum()),
        "converted": int(collected.numbers("converted", False).astype(np.bool_)[usable].sum()),
        "classes": dict(zip(classes, per_class.tolist(), strict=False)),
    }


def counts(collected: Collected, verdict: Verdict) -> dict[str, int]:
    """Kept pictures of each split."""
    splits = collected.numbers("split", -1)
    return {name: int(((splits == code) & ~verdict.left_out).sum()) for code, name in enumerate(SPLITS)}


def left_out_rows(collected: Collected, verdict: Verdict) -> dict[str, list[int]]:
    """For each split that has any: the rows that readers skip, as numbers within the split."""
    splits = collected.numbers("split", -1)
    # The rows of raw shards are sorted, so the order in the shards is not that of the manifest.
    order = np.lexsort((collected.numbers("row", -1), collected.shard))
    found = {name: verdict.left_out[order][splits[order] == code] for code, name in enumerate(SPLITS)}
    return {name: np.flatnonzero(left_out).tolist() for name, left_out in found.items() if left_out.any()}


def check_rejected(collected: Collected, most: float, path: Path, name: str) -> None:
    """Stops where too many pictures cannot be used; they are listed in a file.

    Args:
        collected: The pictures.
        most: The part of them that may be unusable.
        path: The CSV file for the list; an older one is removed where all is well.
        name: The data set's.

    Raises:
        RunError: More are unusable.
    """
    reasons = _rejected(collected)
    if len(reasons) <= most * len(collected):
        path.unlink(missing_ok=True)
        return
    table = collected.facts.filter(collected.facts["reason"].is_valid()).select(["id", "member", "label", "reason"])
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.column_names)
        for batch in table.to_batches():
            writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    counted = sorted((-entry["counts"], entry["values"]) for entry in reasons.value_counts().to_pylist())
    words = ", ".join(f"{-number:,} {reason}" for number, reason in counted)
    first = ", ".join(f"'{one}'" for one in table["id"][:_SHOWN].to_pylist())
    raise RunError(
        f"{len(reasons):,} of {len(collected):,} pictures of data '{name}' cannot be used ({words}), more than "
        f"prepare.max_bad_fraction={most:g} allows; the first are {first}, all are listed in '{path}'; mend the source "
        "or raise the limit"
    )


def check_classes(collected: Collected, verdict: Verdict, classes: Sequence[str], name: str) -> None:
    """Stops where there is nothing to learn from, and warns of classes that are all but missing in training.

    Raises:
        RunError: A class has no picture that is kept, or none is left for training although the source has some.
    """
    splits, labels = collected.numbers("split", -1), collected.numbers("label", -1)
    kept = (splits >= 0) & ~verdict.left_out
    everywhere = _per_class(labels[kept], classes)
    for label in np.flatnonzero(everywhere == 0).tolist():
        raise RunError(
            f"no picture of class '{classes[label]}' of data '{name}' is kept; add some or take the class out of "
            "data.classes"
        )
    # A source may be all test: ImageNet's validation set, for networks that are trained already.
    if np.all(collected.official == SPLITS.index("test")) or np.all(collected.official > 0):
        return
    training = _per_class(labels[kept & (splits == 0)], classes)
    if not training.any():
        raise RunError(
            f"no picture of data '{name}' is left for training; lower prepare.test_fraction or prepare.val_fraction"
        )
    for code, split in enumerate(SPLITS):
        if not np.any(kept & (splits == code)):
            _LOG.warning("no picture of data '%s' is in the %s split", name, split)
    few = [f"'{classes[label]}' ({training[label]})" for label in np.flatnonzero(training < 2).tolist()]
    if few:
        more = f" and {len(few) - 2 * _SHOWN} more" if len(few) > 2 * _SHOWN else ""
        _LOG.warning("hardly any training pictures of class %s%s", ", ".join(few[: 2 * _SHOWN]), more)


def _per_class(labels: NDArray[Any], classes: Sequence[str]) -> NDArray[np.int64]:
    return np.bincount(labels, minlength=len(classes))[: len(classes)].astype(np.int64)


def _rejected(collected: Collected) -> Any:
    return collected.facts["reason"].drop_null()
