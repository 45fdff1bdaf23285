"""Tables and headline numbers of a test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fovea.evaluation.metrics import wilson
from fovea.evaluation.outcome import Outcome, confusion_table, headline, per_class_table, predictions_table


@pytest.fixture
def outcome() -> Outcome:
    """Four pictures: ant right, bee as ant (0.9), bee as ant (0.6), bee right; no cat."""
    probabilities = np.array([[0.8, 0.1, 0.1], [0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.7, 0.1]])
    return Outcome(["ant", "bee", "cat"], np.array([0, 1, 1, 1]), probabilities)


def test_headline_numbers(outcome: Outcome) -> None:
    found = headline(outcome, 0.95)
    low, high = wilson(2, 4, 0.95)
    names = ["acc", "loss", "balanced_acc", "macro_f1", "auroc"]
    ends = ("", "_low", "_high")
    assert list(found) == [f"test/{name}{end}" for name in names for end in ends] + ["test/ece", "test/count"]
    assert found["test/balanced_acc"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["test/auroc"] == pytest.approx((2 / 3 + 2.5 / 3) / 2)
    assert (found["test/acc"], found["test/count"]) == (0.5, 4)
    assert (found["test/acc_low"], found["test/acc_high"]) == (low, high)
    assert found["test/loss"] == pytest.approx(-np.log([0.8, 0.1, 0.4, 0.7]).mean())
    assert found["test/macro_f1"] == pytest.approx(0.5)
    assert found["test/ece"] == pytest.approx((0.2 + 0.9 + 0.6 + 0.3) / 4)


def test_every_interval_holds_its_number_and_the_same_pictures_give_the_same_ones(outcome: Outcome) -> None:
    found = headline(outcome, 0.9)
    for name in ("acc", "loss", "balanced_acc", "macro_f1", "auroc"):
        assert found[f"test/{name}_low"] < found[f"test/{name}"] < found[f"test/{name}_high"]
    assert headline(outcome, 0.9) == found


def test_top5_is_told_of_more_than_five_classes_and_auroc_of_more_than_one() -> None:
    six = headline(Outcome(list("abcdef"), np.array([5, 0]), np.full((2, 6), 1 / 6)), 0.9)
    assert (six["test/acc"], six["test/top5"]) == (0.5, 0.5)
    one = headline(Outcome(["a"], np.array([0, 0]), np.ones((2, 1))), 0.9)
    assert not {"test/auroc", "test/top5"} & one.keys()


def test_headline_numbers_are_plain_numbers_that_json_takes(outcome: Outcome) -> None:
    assert {type(value) for value in headline(outcome, 0.9).values()} <= {int, float}


def test_mistakes_come_surest_first(outcome: Outcome) -> None:
    assert outcome.wrong(10).tolist() == [1, 2]
    assert outcome.wrong(1).tolist() == [1]


def test_least_sure_pictures_come_first_whether_right_or_wrong(outcome: Outcome) -> None:
    assert outcome.least_sure(10).tolist() == [2, 3, 0, 1]
    assert outcome.least_sure(2).tolist() == [2, 3]


def test_confused_pairs_are_counted(outcome: Outcome) -> None:
    assert outcome.confused_pairs(5) == [("bee", "ant", 2)]


def test_predictions_survive_parquet_with_the_order_of_the_classes(outcome: Outcome, tmp_path) -> None:
    table = predictions_table(outcome, ["a", "b", "c", "d"])
    table.to_parquet(tmp_path / "table.parquet")
    back = pd.read_parquet(tmp_path / "table.parquet")
    assert list(back.columns) == ["id", "label", "predicted", "probability", "probabilities"]
    assert back["label"].tolist() == ["ant", "bee", "bee", "bee"]
    assert back["predicted"].tolist() == ["ant", "ant", "ant", "bee"]
    assert back["probability"].tolist() == pytest.approx([0.8, 0.9, 0.6, 0.7])
    assert back["probabilities"][1].tolist() == pytest.approx([0.9, 0.1, 0.0])
    assert back["probabilities"][0].dtype == np.float32
    assert back.attrs["classes"] == ["ant", "bee", "cat"]


def test_confusion_table_has_a_row_a_picture(outcome: Outcome) -> None:
    assert confusion_table(outcome).values.tolist() == [["ant", "ant"], ["bee", "ant"], ["bee", "ant"], ["bee", "bee"]]


def test_per_class_table_leaves_undefined_numbers_empty(outcome: Outcome) -> None:
    table = per_class_table(outcome)
    assert table["support"].tolist() == [1, 3, 0]
    assert table["recall"].tolist()[:2] == pytest.approx([1.0, 1 / 3])
    assert table.loc[2, ["precision", "recall", "f1"]].isna().all()
