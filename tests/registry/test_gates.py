"""The gates, by numbers worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fovea.config.schema import PromoteConfig
from fovea.registry.gates import Contest, Ruling, floors, merit
from fovea.registry.standing import ClassRecall, Standing

Config = Callable[..., PromoteConfig]


def shown(acc: float = 0.9, ece: float | None = 0.03, worst: float = 0.6) -> Standing:
    return Standing(acc, ece, [ClassRecall("7", worst, 40), ClassRecall("1", 0.99, 50)], 90, "d")


def met(difference: float, low: float, p: float, ratio: float | None = 1.0) -> Contest:
    return Contest(difference, low, difference + (difference - low), p, ratio)


@pytest.mark.parametrize(
    ("standing", "passed"),
    [
        (shown(), [True, True, True]),
        (shown(acc=0.8, ece=0.05, worst=0.5), [True, True, True]),  # the bounds themselves pass
        (shown(acc=0.7999), [False, True, True]),
        (shown(worst=0.4999), [True, False, True]),
        (shown(ece=0.0501), [True, True, False]),
        (shown(ece=None), [True, True, False]),
    ],
)
def test_each_floor_is_judged_alone(config: Config, standing: Standing, passed: list[bool]) -> None:
    gates = floors(standing, config())
    assert [gate.passed for gate in gates] == passed
    assert Ruling(gates).passed is all(passed)


def test_floors_are_told_with_number_and_bound(config: Config) -> None:
    accuracy, worst, calibration = floors(shown(acc=0.7, ece=None), config())
    assert accuracy.sentence == "accuracy: 0.7000, wanted at least 0.8"
    assert worst.sentence == "worst class: recall 0.6000 of '7', wanted at least 0.5"
    assert calibration.sentence == "calibration error: not known, wanted at most 0.05"


@pytest.mark.parametrize(
    ("contest", "changes", "better", "not_worse", "cheaper"),
    [
        (met(0.02, 0.005, 0.01), {}, True, True, False),
        (met(0.02, 0.005, 0.0501), {}, False, True, False),  # p must be below the level
        (met(-0.02, -0.035, 0.01), {}, False, False, False),  # significantly worse
        (met(0.02, 0.005, 0.2), {"test": "bootstrap"}, True, True, False),
        (met(0.02, 0.0, 0.01), {"test": "bootstrap"}, False, True, False),  # 0 is no difference
        (met(0.0, -0.0099, 1.0, 0.5), {}, False, True, True),
        (met(0.0, -0.01, 1.0, 0.5), {}, False, False, True),  # the margin itself is too much
        (met(0.0, -0.0099, 1.0, 0.51), {}, False, True, False),
        (met(0.0, -0.0099, 1.0, None), {}, False, True, False),
        (met(0.02, 0.005, 0.04), {"confidence": 0.99}, False, True, False),
    ],
)
def test_better_or_not_worse_and_cheaper(
    config: Config, contest: Contest, changes: dict[str, Any], better: bool, not_worse: bool, cheaper: bool
) -> None:
    found = merit(contest, config(**changes))
    assert (found.better.passed, found.not_worse.passed, found.cheaper.passed) == (better, not_worse, cheaper)
    assert found.passed is (better or (not_worse and cheaper))


def test_a_better_challenger_below_a_floor_is_refused(config: Config) -> None:
    ruling = Ruling(floors(shown(worst=0.1), config()), merit(met(0.02, 0.005, 0.01), config()))
    assert ruling.passed is False
    assert ruling.reason == "worst class: recall 0.1000 of '7', wanted at least 0.5"


def test_every_ruling_says_why(config: Config) -> None:
    passing = floors(shown(), config())
    assert Ruling(passing).reason == "there was no champion before, and it passes every floor"
    won = Ruling(passing, merit(met(0.02, 0.005, 0.01), config()))
    assert won.reason == "it is better (+2.00 points, 95 % interval +0.50 to +3.50, p = 0.01)"
    small = Ruling(passing, merit(met(0.0, -0.005, 1.0, 0.25), config()))
    assert small.reason == ("it is not worse (at worst -0.50 points) and cheaper (0.25 of the champion's parameters)")
    lost = Ruling(passing, merit(met(0.0, -0.005, 1.0, None), config(cost="latency")))
    assert lost.reason == (
        "better: +0.00 points, 95 % interval -0.50 to +0.50, p = 1, wanted more right, p below 0.05; "
        "cheaper: latency not known of both, wanted at most 0.5"
    )
    assert [gate.name for gate in lost.gates] == [
        "accuracy",
        "worst class",
        "calibration error",
        "better",
        "not worse",
        "cheaper",
    ]
