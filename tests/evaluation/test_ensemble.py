"""An ensemble's numbers, and which member it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fovea.config.schema import EnsembleConfig, EvaluateConfig
from fovea.core.errors import RunError, UserError
from fovea.evaluation.ensemble import Tally, best_members
from fovea.evaluation.members import Member, check_member, find_members
from fovea.evaluation.metrics import wilson
from fovea.evaluation.summary import ensemble_lines

CONFIG = EvaluateConfig(
    batch_size=3,
    confidence=0.9,
    gallery=1,
    activations="auto",
    maps=4,
    grad_cam=4,
    embedding_map=6,
    map_method="pca",
    tta=[],
    corruptions=[],
    embeddings=False,
)


class Always(nn.Module):
    """Says one class of every picture, with logits 3, 0, 0."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5))
        self.label = label

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 3.0 * nn.functional.one_hot(torch.full((len(images),), self.label), 3).float()


@pytest.fixture
def member(model: Any) -> Callable[..., Member]:
    """Makes a member: with `label` one that always says it, else the one that looks at the brightness."""

    def make(named: str, label: int | None = None, **facts: Any) -> Member:
        net = model.net if label is None else Always(label)
        changed = type(model)(model.path, {**model.facts, **facts}, net)
        return Member(named, changed, "run-" + named, named)

    return make


def test_the_votes_are_counted_on_test_and_validation(prepared: Any, member: Any) -> None:
    tally = Tally(prepared, CONFIG)
    rows = [tally.add(member("bright")), tally.add(member("zero", 0)), tally.add(member("two", 2))]
    # Labels of the test pictures are 0 0 1 1 2 2 0 1; the first member says 0 0 1 1 2 2 2 0.
    assert [row["test/acc"] for row in rows] == [6 / 8, 3 / 8, 2 / 8]
    assert [row["val/acc"] for row in rows] == [1.0, 0.5, 0.5]
    assert (rows[0]["test/acc_low"], rows[0]["test/acc_high"]) == wilson(6, 8, 0.9)
    assert [row["parameters"] for row in rows] == [0, 5, 5]
    summary = tally.summary()
    assert summary["parameters"] == 10
    assert tally.circumstances == {
        "evaluated_data": "insects",
        "evaluated_data_digest": "ab" * 32,
        "evaluate.confidence": "0.9",
    }
    # Majority: 0 where two say 0, 2 where two say 2; on grey pictures each has a vote of its own and the sums decide.
    hard = tally.ballots["test"].hard()
    assert hard[[0, 1, 4, 5, 6, 7]].tolist() == [0, 0, 2, 2, 2, 0]
    labels = prepared.splits["test"].labels
    assert summary["test/acc_hard"] == np.mean(hard == labels)
    assert summary["test/acc"] == np.mean(tally.ballots["test"].soft().argmax(axis=1) == labels)
    assert summary["val/acc_hard"] == 1.0
    assert summary["best"]["member"] == "bright"
    assert summary["best"]["gain"] == summary["test/acc"] - 6 / 8


def test_the_table_of_predictions_holds_both_votes(prepared: Any, member: Any) -> None:
    tally = Tally(prepared, CONFIG)
    for label in (0, 0, 1):
        tally.add(member(f"m{label}", label))
    table = tally.predictions()
    assert table.columns.tolist() == ["id", "label", "predicted", "hard", "probability", "probabilities"]
    assert set(table["hard"]) == set(table["predicted"]) == {"ant"}
    assert table["id"].tolist() == [f"picture-{row}" for row in range(8)]


def rows(*accuracies: tuple[float | None, float], same: bool = True) -> list[dict[str, Any]]:
    return [
        {"member": f"m{number}", "same_data": same, "test/acc": test} | ({} if val is None else {"val/acc": val})
        for number, (val, test) in enumerate(accuracies)
    ]


def test_validation_chooses_the_best_member() -> None:
    best = best_members(rows((0.9, 0.7), (0.8, 0.75)), {"test/acc": 0.8, "test/acc_hard": 0.7})
    assert (best["best"]["member"], best["best"]["chosen_by"]) == ("m0", "val/acc")
    assert best["best"]["gain"] == pytest.approx(0.1)
    assert best["best"]["gain_hard"] == pytest.approx(0.0)
    assert best["best_on_test"]["member"] == "m1"
    assert best["best_on_test"]["gain"] == pytest.approx(0.05)


@pytest.mark.parametrize("members", [rows((None, 0.7), (None, 0.75)), rows((0.9, 0.7), (0.8, 0.75), same=False)])
def test_without_fair_validation_the_best_on_test_is_taken_and_told(members: list[dict[str, Any]]) -> None:
    best = best_members(members, {"test/acc": 0.8, "test/acc_hard": 0.7})
    assert (best["best"]["member"], best["best"]["chosen_by"]) == ("m1", "test/acc")
    summary = {"test/acc": 0.8, "test/acc_hard": 0.7, "members": members, "parameters": 1234567, **best}
    assert ensemble_lines(summary) == [
        "ensemble: soft 80.00 %, hard 70.00 %, best member 75.00 % (gain 5.00 points), 2 members, 1,234,567 parameters",
        "          the best member is the best on the test pictures: none could be chosen by validation",
    ]


def test_both_best_members_are_told_where_they_differ() -> None:
    members = rows((0.9, 0.7), (0.8, 0.75))
    numbers = {"test/acc": 0.8, "test/acc_hard": 0.7}
    lines = ensemble_lines({**numbers, "members": members, "parameters": 10, **best_members(members, numbers)})
    assert "best member 70.00 % (gain 10.00 points)" in lines[0]
    assert lines[1].endswith("the best on the test pictures is m1 75.00 % (gain 5.00 points)")


def test_a_member_of_other_classes_is_named(prepared: Any, member: Any) -> None:
    other = {"name": "insects", "classes": ["ant", "bee", "dog"], "channels": 1, "image_size": 4}
    with pytest.raises(UserError, match=r"member 'm7' does not fit the data 'insects': it knows class 2 as 'dog', the"):
        check_member(member("m7", data=other), prepared)
    check_member(member("m8"), prepared)


@pytest.mark.parametrize(
    ("members", "seeds", "words"), [([], [], "gives 0"), (["a"], [], "gives 1"), ([], [3], "gives 1")]
)
def test_fewer_than_two_members_are_refused(members: list[str], seeds: list[int], words: str) -> None:
    with pytest.raises(UserError, match=f"at least 2 members.*{words}"):
        find_members(EnsembleConfig(members=members, seeds=seeds))


def test_a_seed_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"seeds=\[1, 1\] names a seed twice"):
        find_members(EnsembleConfig(members=[], seeds=[1, 1]))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    with pytest.raises(UserError, match="there is no folder 'models/best'"):
        find_members(EnsembleConfig(members=["models/best", "models/second"], seeds=[]))
    (tmp_path / "models/best").mkdir(parents=True)
    with pytest.raises(RunError, match="member 'models/best' of the ensemble cannot be used: no trained model at"):
        find_members(EnsembleConfig(members=["models/best", "models/second"], seeds=[]))
