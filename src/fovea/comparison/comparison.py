"""Several runs, compared with the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fovea.comparison import differences
from fovea.comparison.differences import Row
from fovea.comparison.paired import holm
from fovea.comparison.pairing import Verdict, judge, pair
from fovea.comparison.past import PastRun, labels

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Comparison:
    """What comes out.

    Attributes:
        runs: At least two.
        verdicts: Of each run but the first, against the first.
        confidence: Coverage of the intervals; 1 minus it is the level of the tests.
        latencies: Seconds for one picture, a number a run; empty: not measured.
    """

    runs: Sequence[PastRun]
    verdicts: Sequence[Verdict]
    confidence: float
    latencies: Sequence[float] = ()

    @property
    def labels(self) -> list[str]:
        """What each run is called."""
        return labels(self.runs)

    def sentences(self) -> list[str]:
        """The verdict on each run but the first."""
        first, *others = self.labels
        pairs = zip(self.verdicts, others, strict=True)
        return [verdict.words(name, first, self.confidence) for verdict, name in pairs]

    def warnings(self) -> Iterator[str]:
        """What whoever reads the tests must know."""
        first, *others = self.labels
        for verdict, name in zip(self.verdicts, others, strict=True):
            pairing = verdict.pairing
            parts = {
                f"only '{first}' was tested on": pairing.only_first,
                f"only '{name}' was tested on": pairing.only_second,
                "have different labels in the two": pairing.relabelled,
            }
            told = ", ".join(f"{count:,} {words}" for words, count in parts.items() if count)
            if told:
                yield (
                    f"'{first}' and '{name}' were tested on different pictures; the paired tests are on the "
                    f"{pairing.counts.count:,} that are the same (left out: {told}), the metrics on all of each"
                )
        known = [(name, run.confidence) for name, run in zip(self.labels, self.runs, strict=True) if run.confidence]
        if len({confidence for _, confidence in known}) > 1:
            told = ", ".join(f"{100 * confidence:g} % of '{name}'" for name, confidence in known if confidence)
            yield (
                f"the intervals of the metrics are of different confidence: {told}; test one again with that of the "
                "other (`evaluate.confidence`) to compare them"
            )
        for run, name in zip(self.runs, self.labels, strict=True):
            if run.elsewhere:
                yield f"'{name}' {run.elsewhere}"
            if run.status != "FINISHED":
                yield f"'{name}' has not finished: it is {run.status}"

    def tests(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the table of tests."""
        several = len(self.verdicts) > 1
        interval = f"{100 * self.confidence:g} % interval"
        head = ["run", "pictures", "right to wrong", "wrong to right", "accuracy, points", interval, "McNemar p"]
        rows = []
        for verdict, name in zip(self.verdicts, self.labels[1:], strict=True):
            counts = verdict.pairing.counts
            row = [name, f"{counts.count:,}", f"{counts.only_first:,}", f"{counts.only_second:,}"]
            row += [f"{100 * counts.difference:+.2f}", f"{100 * verdict.low:+.2f} to {100 * verdict.high:+.2f}"]
            rows.append([*row, f"{verdict.p:.2g}", *([f"{verdict.corrected:.2g}"] if several else [])])
        return [*head, *(["with Holm's correction"] if several else [])], rows

    def tables(self) -> Iterator[tuple[str, str, list[Row]]]:
        """Name of the first column, title and rows of each table that has a column a run."""
        rows: list[Row] = [
            (name, [None if value is None else value.text() for value in values])
            for name, values in differences.metrics(self.runs)
        ]
        yield "metric", "Metrics of the test pictures", rows
        yield "parameter", "Parameters that differ", differences.parameters(self.runs)
        yield "cost", "Cost", differences.costs(self.runs, self.latencies)
        yield "origin", "Data, code and machine that differ", differences.origins(self.runs)
        yield "package", "Packages that differ", differences.packages(self.runs)

    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables by their titles, a row a name and a column a run; those without rows are left out."""
        import pandas as pd

        return {
            title: pd.DataFrame(
                [list(values) for _, values in rows], [name for name, _ in rows], self.labels
            ).rename_axis(column)
            for column, title, rows in self.tables()
            if rows
        }

    def changed(self) -> pd.DataFrame:
        """A row a picture that changed: run, change, id, label, first and second prediction with probabilities."""
        import pandas as pd

        parts = [
            part.assign(run=name, change=change)
            for verdict, name in zip(self.verdicts, self.labels[1:], strict=True)
            for change, part in (("right to wrong", verdict.pairing.lost), ("wrong to right", verdict.pairing.won))
        ]
        table = pd.concat(parts, ignore_index=True)
        return table[["run", "change", "id", "label", "first", "first_probability", "second", "second_probability"]]


def compare(runs: Sequence[PastRun], confidence: float) -> Comparison:
    """Tests each run against the first.

    Args:
        runs: At least two, each with predictions.
        confidence: Coverage of the intervals, as 0.95.

    Raises:
        UserError: A run was tested on no picture of the first.
    """
    verdicts = [judge(pair(runs[0], run), confidence) for run in runs[1:]]
    corrected = holm([verdict.p for verdict in verdicts])
    verdicts = [replace(verdict, corrected=p) for verdict, p in zip(verdicts, corrected, strict=True)]
    return Comparison(runs, verdicts, confidence)
