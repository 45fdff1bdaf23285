"""The gates that a challenger passes to become the champion, in pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fovea.config.schema import PromoteConfig
    from fovea.registry.standing import Standing


@dataclass(frozen=True)
class Gate:
    """One question, and the answer.

    Attributes:
        name: What is asked about.
        passed: The answer.
        found: The number that was found, in words.
        wanted: What it had to be, in words.
    """

    name: str
    passed: bool
    found: str
    wanted: str

    @property
    def sentence(self) -> str:
        """As `worst class: recall 0.0500 of '7', wanted at least 0.1`."""
        return f"{self.name}: {self.found}, wanted {self.wanted}"


@dataclass(frozen=True)
class Contest:
    """A challenger against the champion on the same test pictures.

    Attributes:
        difference: Accuracy of the challenger minus that of the champion.
        low: Lower end of the interval of the difference.
        high: Its upper end.
        p: Of McNemar's test.
        cost_ratio: Cost of the challenger over that of the champion; None: one of them is not known.
    """

    difference: float
    low: float
    high: float
    p: float
    cost_ratio: float | None


@dataclass(frozen=True)
class Merit:
    """Whether a challenger deserves the place of the champion: it is better, or it is not worse and cheaper."""

    better: Gate
    not_worse: Gate
    cheaper: Gate

    @property
    def passed(self) -> bool:
        """Whether it does."""
        return self.better.passed or (self.not_worse.passed and self.cheaper.passed)


@dataclass(frozen=True)
class Ruling:
    """All gates of one promotion.

    Attributes:
        floors: What every champion must show; each must be passed.
        merit: Against the champion; None: there is none.
    """

    floors: Sequence[Gate]
    merit: Merit | None = None

    @property
    def passed(self) -> bool:
        """Whether the challenger becomes the champion."""
        return all(gate.passed for gate in self.floors) and (self.merit is None or self.merit.passed)

    @property
    def gates(self) -> list[Gate]:
        """Every gate, in the order in which they are told."""
        merit = [] if self.merit is None else [self.merit.better, self.merit.not_worse, self.merit.cheaper]
        return [*self.floors, *merit]

    @property
    def reason(self) -> str:
        """Why it passes, or why it does not."""
        if not self.passed:
            missed = [gate.sentence for gate in self.floors if not gate.passed]
            if self.merit is not None and not self.merit.passed:
                lacking = [gate for gate in (self.merit.not_worse, self.merit.cheaper) if not gate.passed]
                missed += [gate.sentence for gate in (self.merit.better, *lacking)]
            return "; ".join(missed)
        if self.merit is None:
            return "there was no champion before, and it passes every floor"
        if self.merit.better.passed:
            return f"it is better ({self.merit.better.found})"
        return f"it is not worse ({self.merit.not_worse.found}) and cheaper ({self.merit.cheaper.found})"


def floors(standing: Standing, config: PromoteConfig) -> list[Gate]:
    """What any champion must show, whoever else there is. A calibration error that is not known does not pass."""
    worst = standing.recalls[0]
    ece = standing.ece
    return [
        Gate("accuracy", standing.acc >= config.min_acc, f"{standing.acc:.4f}", f"at least {config.min_acc:g}"),
        Gate(
            "worst class",
            worst.recall >= config.min_class_recall,
            f"recall {worst.recall:.4f} of '{worst.name}'",
            f"at least {config.min_class_recall:g}",
        ),
        Gate(
            "calibration error",
            ece is not None and ece <= config.max_ece,
            "not known" if ece is None else f"{ece:.4f}",
            f"at most {config.max_ece:g}",
        ),
    ]


def merit(contest: Contest, config: PromoteConfig) -> Merit:
    """Judges a challenger by the champion.

    The interval is two-sided: a challenger that is not worse by it is so at the level (1 - confidence) / 2.
    """
    level = 1 - config.confidence
    interval = f"{100 * config.confidence:g} % interval {100 * contest.low:+.2f} to {100 * contest.high:+.2f}"
    found = f"{100 * contest.difference:+.2f} points, {interval}, p = {contest.p:.2g}"
    by_test = {"mcnemar": contest.difference > 0 and contest.p < level, "bootstrap": contest.low > 0}
    wanted = {"mcnemar": f"more right, p below {level:.2g}", "bootstrap": "an interval above 0"}
    ratio = contest.cost_ratio
    return Merit(
        better=Gate("better", by_test[config.test], found, wanted[config.test]),
        not_worse=Gate(
            "not worse",
            contest.low > -config.margin,
            f"at worst {100 * contest.low:+.2f} points",
            f"above {-100 * config.margin:+.2f}",
        ),
        cheaper=Gate(
            "cheaper",
            ratio is not None and ratio <= config.max_cost_ratio,
            f"{config.cost} not known of both" if ratio is None else f"{ratio:.2f} of the champion's {config.cost}",
            f"at most {config.max_cost_ratio:g}",
        ),
    )
