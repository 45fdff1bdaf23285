"""The test pictures that two runs have in common, and what each said of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fovea.comparison.paired import Agreement, agreement, bootstrap, mcnemar
from fovea.core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from fovea.comparison.paired import Bools
    from fovea.comparison.past import PastRun


@dataclass(frozen=True, eq=False)
class Pairing:
    """What two runs said of the same pictures.

    Attributes:
        table: A row a common picture: id, label, first and second (the predicted classes), and `first_probability`
            and `second_probability` where the runs tell them.
        only_first: Pictures that only the first run was tested on.
        only_second: Pictures that only the second run was tested on.
        relabelled: Pictures left out because they had another label in the second run.
    """

    table: pd.DataFrame
    only_first: int = 0
    only_second: int = 0
    relabelled: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether both runs were tested on just the same pictures."""
        return not (self.only_first or self.only_second or self.relabelled)

    @cached_property
    def right(self) -> tuple[Bools, Bools]:
        """Where the first and where the second run were right, bool [N] each."""
        actual = self.table["label"].to_numpy()
        return self.table["first"].to_numpy() == actual, self.table["second"].to_numpy() == actual

    @cached_property
    def counts(self) -> Agreement:
        """Who was right where."""
        return agreement(*self.right)

    @property
    def lost(self) -> pd.DataFrame:
        """The rows that were right in the first run and are wrong in the second."""
        first, second = self.right
        return self.table[first & ~second]

    @property
    def won(self) -> pd.DataFrame:
        """The rows that were wrong in the first run and are right in the second."""
        first, second = self.right
        return self.table[~first & second]


@dataclass(frozen=True)
class Verdict:
    """A run against the first, on the pictures of both.

    Attributes:
        pairing: The pictures.
        p: McNemar's exact p-value.
        low: Lower end of the interval of the accuracy difference.
        high: Its upper end.
        corrected: The p-value corrected for the number of runs that are compared with the first.
    """

    pairing: Pairing
    p: float
    low: float
    high: float
    corrected: float

    def words(self, name: str, first: str, confidence: float) -> str:
        """The verdict as a sentence."""
        difference = self.pairing.counts.difference
        interval = (
            f"{100 * confidence:g} % interval {100 * self.low:+.2f} to {100 * self.high:+.2f}, p = {self.corrected:.2g}"
        )
        if self.corrected < 1 - confidence:
            word = "better" if difference > 0 else "worse"
            return f"{name} is {word} than {first} by {100 * abs(difference):.2f} points ({interval})"
        return f"{name} and {first}: no difference is shown ({100 * difference:+.2f} points, {interval})"


def pair(first: PastRun, second: PastRun) -> Pairing:
    """The test pictures of both runs.

    Raises:
        UserError: The runs have no test picture in common; ids of different data mean different pictures.
    """
    one, other = _said(first), _said(second)
    if first.tested_data != second.tested_data:
        raise UserError(
            f"'{first.name}' was tested on '{first.tested_data}' and '{second.name}' on '{second.tested_data}', "
            "different data; compare runs of the same data"
        )
    found = one.merge(other, on="id", suffixes=("_first", "_second"), validate="one_to_one")
    same = (found["label_first"] == found["label_second"]).to_numpy()
    relabelled = int((~same).sum())
    if not same.any():
        reason = "the same pictures, but under other labels" if relabelled else "different pictures"
        raise UserError(
            f"'{first.name}' and '{second.name}' were tested on {reason}: there is nothing to compare them on; "
            "train and test one of them again on the data of the other"
        )
    kept = found[same].reset_index(drop=True)
    table = kept.rename(columns={"label_first": "label", "predicted_first": "first", "predicted_second": "second"})
    table = table.rename(columns={f"probability_{side}": f"{side}_probability" for side in ("first", "second")})
    return Pairing(table.drop(columns=["label_second"]), len(one) - len(found), len(other) - len(found), relabelled)


def judge(pairing: Pairing, confidence: float) -> Verdict:
    """The tests of one pair, not yet corrected for others."""
    p = mcnemar(pairing.counts)
    low, high = bootstrap(pairing.counts, confidence)
    return Verdict(pairing, p, low, high, p)


def _said(run: PastRun) -> pd.DataFrame:
    table = run.predictions
    if table is None:
        raise UserError(f"'{run.name}' ({run.run_id}) has no test predictions")
    table = table[["id", "label", "predicted"]].assign(
        probability=table["probability"].to_numpy() if "probability" in table.columns else np.nan
    )
    return table.drop_duplicates("id")
