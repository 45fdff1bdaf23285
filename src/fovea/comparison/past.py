"""A run that is over, as far as it can be compared: plain data, wherever they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fovea.evaluation import circumstances

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PastRun:
    """What MLflow holds of a run.

    Attributes:
        run_id: Its id.
        name: Its name; several runs may share one.
        status: FINISHED, FAILED, KILLED or RUNNING.
        params: Its parameters, flat names to texts.
        metrics: The last value of each metric.
        tags: Its tags.
        packages: The version of each package that was installed; None: not known.
        model: Facts of the trained model (`model.json`); empty: not known.
        predictions: A row a test picture, with at least the columns id, label and predicted; None: there are none.
    """

    run_id: str
    name: str
    status: str = "FINISHED"
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] | None = None
    model: Mapping[str, object] = field(default_factory=dict)
    predictions: pd.DataFrame | None = None

    @property
    def data(self) -> str:
        """The name of its data."""
        return self.params.get("data.name", "unknown")

    @property
    def tested_data(self) -> str:
        """The name of the data that it was tested on last."""
        return self.tags.get(circumstances.DATA, self.data)

    @property
    def tested_digest(self) -> str | None:
        """The digest of the data that it was tested on last; of a run that does not tell, of those of its training."""
        return self.tags.get(circumstances.DATA_DIGEST, self.tags.get("data_digest"))

    @property
    def elsewhere(self) -> str:
        """What follows its name where it was tested on other data than it was trained on; else, or not known: empty."""
        trained, tested = self.tags.get("data_digest"), self.tested_digest
        if trained is None or tested is None or trained == tested:
            return ""
        return (
            f"was tested on '{self.tested_data}' (digest {tested[:12]}) and trained on '{self.data}' (digest "
            f"{trained[:12]}): some of the test pictures may have been among its training pictures"
        )

    @property
    def confidence(self) -> float | None:
        """Coverage of the intervals of its test metrics; None: not known."""
        known = self.tags.get(circumstances.CONFIDENCE, self.params.get(circumstances.CONFIDENCE))
        return None if known is None else float(known)

    @property
    def minutes(self) -> float | None:
        """Minutes of training, of the process that finished it."""
        seconds = self.metrics.get("time/fit_seconds")
        return None if seconds is None else seconds / 60

    @property
    def parameters(self) -> int | None:
        """Numbers that the network has learnt."""
        known = self.model.get("parameters")
        return known if isinstance(known, int) else None


def labels(runs: Sequence[PastRun]) -> list[str]:
    """What to call each run: its name, with the beginning of its id where another has the same name."""
    names = [run.name for run in runs]
    return [run.name if names.count(run.name) == 1 else f"{run.name} ({run.run_id[:8]})" for run in runs]


def packages_of(text: str) -> dict[str, str]:
    """Versions by package, from lines as in `numpy==2.3.1`."""
    lines = (line.strip().partition("==") for line in text.splitlines())
    return {name: version for name, mark, version in lines if mark}
