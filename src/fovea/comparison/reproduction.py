"""Whether a run that was made again came out the same, and whether that was to be expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fovea.comparison import differences
from fovea.comparison.past import PastRun

if TYPE_CHECKING:
    import pandas as pd

# Whatever else differs (the number of cores, the host) does not change a bit.
_DECIDES = {"data digest", "git commit", "uncommitted changes", "precision", "processes", "cpu", "gpu", "python"}


@dataclass(frozen=True)
class Sameness:
    """Predictions of a run and of its repetition.

    Attributes:
        pictures: Test pictures of both.
        others: Test pictures of only one of the two, or with another label.
        changed: Pictures of both whose predicted class is another one.
        largest: The largest difference of a probability; NaN where the runs cannot be compared so.
    """

    pictures: int
    others: int
    changed: int
    largest: float

    @property
    def is_identical(self) -> bool:
        """Whether every prediction is the same, bit for bit."""
        return self.pictures > 0 and not (self.others or self.changed) and self.largest == 0

    def words(self) -> str:
        """As a sentence."""
        if self.is_identical:
            return f"test predictions: bit-identical, all {self.pictures:,}"
        others = f", {self.others:,} other pictures" if self.others else ""
        return (
            f"test predictions: {self.changed:,} of {self.pictures:,} in another class, largest difference of a "
            f"probability {self.largest:.3g}{others}"
        )


def sameness(before: pd.DataFrame, now: pd.DataFrame) -> Sameness:
    """Compares two tables of predictions, whatever further columns they have, in whatever order.

    Args:
        before: With the columns id, label, predicted and probabilities (of all classes).
        now: With the same.
    """
    both = before.merge(now, on="id", suffixes=("_before", "_now"))
    both = both[both["label_before"] == both["label_now"]]
    others = len(before) + len(now) - 2 * len(both)
    changed = int((both["predicted_before"] != both["predicted_now"]).sum())
    return Sameness(len(both), others, changed, _largest(both))


def _largest(both: pd.DataFrame) -> float:
    columns = [f"probabilities_{side}" for side in ("before", "now")]
    if not len(both) or not set(columns) <= set(both.columns):
        return float("nan")
    pairs = zip(*(both[column] for column in columns), strict=True)
    gaps = [float(np.abs(one - two).max()) if len(one) == len(two) else float("nan") for one, two in pairs]
    return float("nan") if any(map(math.isnan, gaps)) else max(gaps)


def metric_rows(before: Mapping[str, float], now: Mapping[str, float]) -> list[tuple[str, float, float, bool]]:
    """Name, value then, value now and whether they are the same, of each test metric that both have."""
    names = [name for name in before if name.startswith("test/") and name in now]
    return [(name, before[name], float(now[name]), _is_same(before[name], float(now[name]))) for name in names]


def _is_same(one: float, two: float) -> bool:
    return one == two or (math.isnan(one) and math.isnan(two))


def obstacles(before: PastRun, today: PastRun, *, deterministic: bool) -> list[str]:
    """What stands against the same bits; nothing where they are promised.

    Args:
        before: The run.
        today: The tags and packages that the same run would have now.
        deterministic: `trainer.deterministic` of the run.
    """
    found = [name for name, _ in differences.origins([before, today]) if name in _DECIDES]
    found += [f"{name} (package)" for name, _ in differences.packages([before, today])]
    found += ["data that it was tested on"] if before.elsewhere else []
    unknown = [("git commit", "mlflow.source.git.commit" in before.tags), ("packages", before.packages is not None)]
    found += [f"{name} (not known)" for name, is_known in unknown if not is_known]
    if before.tags.get("git_dirty") == "true" and "uncommitted changes" not in found:
        found.append("uncommitted changes (what they were is not kept)")
    return [*found, *([] if deterministic else ["trainer.deterministic=false"])]


def expectation(against: Sequence[str]) -> str:
    """The sentence that says what to expect."""
    if not against:
        return "nothing that decides the result differs: it must come out the same, bit for bit"
    return f"it may come out otherwise, for {len(against)} reason{'s' * (len(against) > 1)}: {', '.join(against)}"
