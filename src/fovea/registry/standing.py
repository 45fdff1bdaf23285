"""What a run showed on its test pictures, as far as promotion and the model card ask for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea.core.digest import data_digest
from fovea.evaluation.calibrated import TEMPERATURE

if TYPE_CHECKING:
    import pandas as pd

    from fovea.comparison.past import PastRun

_SAME = 1e-3  # relative difference of temperatures below which the calibration error is the same


@dataclass(frozen=True)
class ClassRecall:
    """A class among the test pictures.

    Attributes:
        name: Of the class.
        recall: Part of its pictures that were predicted as it.
        pictures: How many it has.
    """

    name: str
    recall: float
    pictures: int


@dataclass(frozen=True)
class Standing:
    """A model on its test pictures.

    Attributes:
        acc: Part of the pictures that were predicted rightly.
        ece: Expected calibration error of the probabilities that the delivered model gives; None: not known.
        recalls: The classes that have test pictures, the weakest first.
        pictures: How many were tested.
        digest: Hex sha256 of the ids and the labels of the pictures: equal if two runs were tested on the same.
    """

    acc: float
    ece: float | None
    recalls: Sequence[ClassRecall]
    pictures: int
    digest: str


def standing(run: PastRun, temperature: float | None = None) -> Standing:
    """Counts the test predictions of a run, of which there is at least one.

    Args:
        run: The run.
        temperature: That the delivered model divides its logits by; None: it does not.
    """
    table = run.predictions
    assert table is not None  # noqa: S101  # `comparison.fetch.read` refuses a run without
    right = table["predicted"] == table["label"]
    return Standing(
        acc=float(right.mean()),
        ece=delivered_ece(run.metrics, temperature),
        recalls=_recalls(table, right),
        pictures=len(table),
        digest=data_digest(sorted(zip(map(str, table["id"]), map(str, table["label"]), strict=True))),
    )


def delivered_ece(metrics: Mapping[str, float], temperature: float | None) -> float | None:
    """The calibration error of what the delivered model gives; None: the run was not tested at that temperature.

    Args:
        metrics: Of the run.
        temperature: Of the delivered model; None: it has none.
    """
    if temperature is None:
        return metrics.get("test/ece")
    tested = metrics.get(TEMPERATURE)
    is_same = tested is not None and math.isclose(tested, temperature, rel_tol=_SAME)
    return metrics.get("test/ece_scaled") if is_same else None


def _recalls(table: pd.DataFrame, right: pd.Series[bool]) -> list[ClassRecall]:
    grouped = right.groupby(table["label"])
    counts: dict[Any, int] = grouped.size().to_dict()
    found = [ClassRecall(str(name), float(recall), counts[name]) for name, recall in grouped.mean().items()]
    return sorted(found, key=lambda one: (one.recall, one.name))
