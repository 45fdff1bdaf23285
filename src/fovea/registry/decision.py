"""A decision on who is the champion, as it is kept: a file of the run, and tags of the version and of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from fovea.registry.gates import Gate
    from fovea.registry.shelf import Shelf, Version

FOLDER = "promotion"
"""Of the run's artifacts."""

Outcome = Literal["promoted", "refused", "restored"]


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        outcome: `promoted` or `refused` of a challenger, `restored` of a former champion.
        name: Of the registered model.
        version: Whom it is about.
        champion: Who was the champion until then; None: nobody.
        reason: Why, in words.
        origin: By which `user`, by which `command`, at which `git_commit`, and whether the code differed (`git_dirty`).
        time: When, in UTC.
        gates: What was asked, of a promotion.
        numbers: What was found, of a promotion.
        config: The section `promote`, of a promotion.
        notes: What whoever reads it must know.
    """

    outcome: Outcome
    name: str
    version: Version
    champion: Version | None
    reason: str
    origin: Mapping[str, str]
    time: datetime
    gates: Sequence[Gate] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def file(self) -> str:
        """Path of its record among the artifacts of the run; a later decision has another."""
        return f"{FOLDER}/{self.time:%Y%m%dT%H%M%S%fZ}-{self.outcome}.json"

    @property
    def sentence(self) -> str:
        """What was decided."""
        place = f"the champion of '{self.name}'"
        if self.outcome == "refused":
            stays = "there is none" if self.champion is None else f"{self.champion.label} stays"
            return f"refused: {self.version.label} does not become {place}, {stays}; {self.reason}"
        before = "" if self.champion is None else f", in the place of {self.champion.label}"
        return f"{self.outcome}: {self.version.label} is {place} now{before}; {self.reason}"

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "outcome": self.outcome,
            "name": self.name,
            "time": self.time.isoformat(timespec="seconds"),
            "reason": self.reason,
            "version": _named(self.version),
            "champion_before": None if self.champion is None else _named(self.champion),
            "gates": [asdict(gate) for gate in self.gates],
            "numbers": dict(self.numbers),
            "config": dict(self.config),
            "notes": list(self.notes),
            "origin": dict(self.origin),
        }

    def tags(self) -> dict[str, str]:
        """The newest decision in short."""
        return {
            "promotion": self.outcome,
            "promotion.time": self.time.isoformat(timespec="seconds"),
            "promotion.reason": self.reason,
            "promotion.champion_before": "none" if self.champion is None else self.champion.label,
            "promotion.by": self.origin.get("user", "unknown"),
            "promotion.record": self.file,
        }

    def keep(self, shelf: Shelf) -> None:
        """Writes it down.

        Raises:
            RunError: MLflow is out of reach.
        """
        text = json.dumps(self.plain(), indent=1, ensure_ascii=False) + "\n"
        shelf.keep_text(self.version.run_id, text, self.file)
        shelf.tag(self.version, self.tags())


def _named(version: Version) -> dict[str, Any]:
    return {"version": version.number, "run_id": version.run_id, "run_name": version.run_name}
