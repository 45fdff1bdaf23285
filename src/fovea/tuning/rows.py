"""The trials of a search as plain data: the table, the best of them, and what is said of all."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fovea.tuning.space import Value

DONE = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
"""The states of Optuna's finished trials in our words."""
_COUNTED = ("complete", "pruned", "diverged", "failed")
_MOST_REASONS = 3


@dataclass(frozen=True)
class Row:
    """A trial.

    Attributes:
        number: From 0, in the order in which they were proposed.
        state: `complete`, `pruned` (ended early, as others do better), `diverged`, `failed`, `stopped` (and made again
            as another trial), `running`, `waiting`.
        value: Of the metric: of what it delivered, or of its last epoch; None: there was none.
        epochs: Trained.
        seconds: From its beginning to its end.
        point: The values that were proposed.
        overrides: The words of `kedro run` that make the same training.
        run_name: Of its MLflow run.
        run_id: Likewise.
        reason: Why it did not complete.
    """

    number: int
    state: str
    value: float | None = None
    epochs: int = 0
    seconds: float | None = None
    point: Mapping[str, Value] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    run_name: str | None = None
    run_id: str | None = None
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for, and has ended."""
        return self.state in _COUNTED


def best_of(rows: Sequence[Row], direction: str) -> Row | None:
    """The complete trial with the best value, the first of equals; None: there is none."""
    complete = [row for row in rows if row.state == "complete" and row.value is not None]
    sign = -1.0 if direction == "maximize" else 1.0
    return min(complete, key=lambda row: (sign * (row.value or 0.0), row.number), default=None)


def best_so_far(rows: Sequence[Row], direction: str) -> list[tuple[int, float]]:
    """The number of each complete trial with the best value up to it."""
    found: list[tuple[int, float]] = []
    better = max if direction == "maximize" else min
    for row in rows:
        if row.state == "complete" and row.value is not None:
            found.append((row.number, better(row.value, found[-1][1]) if found else row.value))
    return found


def table(rows: Sequence[Row], metric: str, keys: Sequence[str]) -> str:
    """The trials as CSV, a row each.

    Args:
        rows: The trials.
        metric: The name of the column of values.
        keys: The parameters, a column each.
    """
    stream = io.StringIO()
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(["trial", "state", metric, "epochs", "seconds", *keys, "run_name", "run_id", "overrides", "reason"])
    for row in rows:
        given = dict(line.partition("=")[::2] for line in row.overrides)
        values = [given.get(key, row.point.get(key, "")) for key in keys]
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        value = "" if row.value is None else f"{row.value:.6g}"
        facts = [row.run_name or "", row.run_id or "", " ".join(row.overrides), row.reason]
        out.writerow([row.number, row.state, value, row.epochs, seconds, *values, *facts])
    return stream.getvalue()


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """How many trials ended in which way, of those that count."""
    found = Counter(row.state for row in rows if row.counts)
    return {state: found[state] for state in _COUNTED if found[state]}


def counted(rows: Sequence[Row]) -> str:
    """As in ``"12 trials: 8 complete, 3 pruned, 1 failed"``."""
    found = counts(rows)
    total = sum(found.values())
    parts = ", ".join(f"{count} {state}" for state, count in found.items())
    return f"{total} trial{'' if total == 1 else 's'}{': ' if parts else ''}{parts}"


def reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Why trials failed, the commonest reason first, with their number."""
    found = Counter(row.reason for row in rows if row.state in ("failed", "diverged"))
    for reason, count in found.most_common(_MOST_REASONS):
        yield f"{count} x {reason}" if count > 1 else reason
    if len(found) > _MOST_REASONS:
        yield f"and {len(found) - _MOST_REASONS} other reasons, which stand in the table"


def shown(metric: str, value: float) -> str:
    """A value of the metric as it is said."""
    return f"{100 * value:.2f} %" if metric.endswith("/acc") else f"{value:.4f}"
