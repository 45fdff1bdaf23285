"""What a run showed, and two runs on the same pictures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fovea.comparison.past import PastRun
from fovea.config.schema import PromoteConfig
from fovea.core.errors import UserError
from fovea.registry.promotion import contest, notes_on
from fovea.registry.standing import standing

Past = Callable[..., PastRun]


def test_accuracy_and_recalls_are_counted_from_the_predictions(past: Past) -> None:
    found = standing(past("one", "aabbbc", "aaabbc", metrics={"test/ece": 0.5}))
    assert (found.acc, found.ece, found.pictures) == (5 / 6, 0.5, 6)
    assert [(one.name, one.recall, one.pictures) for one in found.recalls] == [
        ("a", pytest.approx(2 / 3), 3),
        ("b", 1.0, 2),
        ("c", 1.0, 1),
    ]
    assert standing(past("one", "a", "a")).ece is None


def test_the_calibration_error_is_that_of_what_is_delivered(past: Past) -> None:
    metrics = {"test/ece": 0.5, "test/ece_scaled": 0.1, "calibration/temperature": 1.5}
    run = past("one", "a", "a", metrics=metrics)
    assert (standing(run).ece, standing(run, 1.5).ece, standing(run, 1.5001).ece) == (0.5, 0.1, 0.1)
    assert standing(run, 1.6).ece is None  # nobody has measured that
    assert standing(past("one", "a", "a", metrics={"test/ece": 0.5}), 1.5).ece is None


def test_the_digest_is_that_of_pictures_and_labels_alone(past: Past) -> None:
    one = standing(past("one", "ab", "ab", ids=["x", "y"])).digest
    assert standing(past("two", "aa", "ba", ids=["y", "x"])).digest == one
    assert standing(past("two", "ab", "ab", ids=["x", "z"])).digest != one
    assert standing(past("two", "ab", "aa", ids=["x", "y"])).digest != one


def test_a_challenger_that_wins_ten_pictures_and_loses_one(past: Past, config: Callable[..., PromoteConfig]) -> None:
    labels = "a" * 100
    champion = past("old", "b" * 10 + "a" * 90, labels, model={"parameters": 200})
    challenger = past("new", "a" * 10 + "b" + "a" * 89, labels, model={"parameters": 50})
    found = contest(challenger, champion, config())
    assert found.difference == pytest.approx(0.09)
    assert found.p == pytest.approx(2 * (1 + 11) / 2**11)  # none or one of eleven coins
    assert found.low < 0.09 < found.high
    assert found.cost_ratio == 0.25
    assert contest(past("new", "a" * 100, labels), champion, config()).cost_ratio is None


def test_other_pictures_are_refused(past: Past, config: Callable[..., PromoteConfig]) -> None:
    champion = past("old", "aab", "aab", ids=["x", "y", "z"])
    with pytest.raises(UserError, match=r"'new' and the champion 'old' were not tested on the same pictures .*\(2 in"):
        contest(past("new", "aa", "aa", ids=["x", "y"]), champion, config())
    with pytest.raises(UserError, match="1 under other labels"):
        contest(past("new", "aab", "aaa", ids=["x", "y", "z"]), champion, config())
    with pytest.raises(UserError, match="different data"):
        contest(past("new", "aab", "aab", ids=["x", "y", "z"], params={"data.name": "mnist"}), champion, config())


def test_data_that_differ_beside_the_test_pictures_are_noted(past: Past) -> None:
    one = past("one", "a", "a", tags={"data_digest": "1" * 64})
    assert notes_on(one, one) == []
    [note] = notes_on(one, past("two", "a", "a", tags={"data_digest": "2" * 64}))
    assert note.endswith("digest 111111111111, that of the champion 222222222222")


def test_a_champion_that_was_tested_on_other_data_is_noted(past: Past) -> None:
    tags = {"data_digest": "1" * 64}
    champion = past("old", "a", "a", tags=tags | {"evaluated_data_digest": "2" * 64})
    [note] = notes_on(past("new", "a", "a", tags=tags), champion)
    assert note == (
        "the champion was tested on 'digits' (digest 222222222222) and trained on 'digits' (digest 111111111111): some "
        "of the test pictures may have been among its training pictures, which flatters it"
    )
