"""What is said of a run that is made again, and what it is made from."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from fovea.comparison.past import PastRun
from fovea.comparison.recipe import recipe_of
from fovea.comparison.reproduction import expectation, metric_rows, obstacles, sameness
from fovea.comparison.rerun import _apart, as_evaluated
from fovea.core.errors import RunError, UserError
from fovea.core.places import work_root

TAGS = {"mlflow.source.git.commit": "abc", "git_dirty": "false", "cpu": "x", "cores": "2", "world_size": "1"}
PACKAGES = {"torch": "2.14.1", "numpy": "2.3.1"}


def table(probabilities: list[list[float]], ids: str = "xyz") -> pd.DataFrame:
    rows = np.array(probabilities, np.float32)
    predicted = ["ab"[row.argmax()] for row in rows]
    return pd.DataFrame({"id": list(ids), "label": "a", "predicted": predicted, "probabilities": list(rows)})


def test_predictions_are_the_same_only_to_the_last_bit() -> None:
    first = [[0.5, 0.25], [0.125, 0.75], [1.0, 0.0]]
    before = table(first)
    same = sameness(before, table(first[::-1], "zyx").assign(more=1))
    assert same.is_identical
    assert same.words() == "test predictions: bit-identical, all 3"
    nudged = [list(row) for row in first]
    nudged[0][1] = float(np.nextafter(np.float32(0.25), np.float32(1)))
    near = sameness(before, table(nudged))
    assert (near.changed, near.is_identical) == (0, False)
    assert near.largest == pytest.approx(2.98e-8, rel=0.01)
    other = sameness(before, table([[0.25, 0.5], *first[1:]]))
    assert (other.pictures, other.changed, other.largest) == (3, 1, 0.25)
    assert other.words() == ("test predictions: 1 of 3 in another class, largest difference of a probability 0.25")


def test_other_pictures_labels_and_classes_are_never_the_same() -> None:
    before = table([[1.0, 0.0]] * 3)
    assert sameness(before, table([[1.0, 0.0]] * 3, "xyw")).others == 2
    assert sameness(before, table([[1.0, 0.0]] * 3).assign(label="b")).pictures == 0
    assert not sameness(before, table([[1.0, 0.0]] * 3).assign(label="b")).is_identical
    assert np.isnan(sameness(before, table([[1.0, 0.0, 0.0]] * 3)).largest)
    assert not sameness(before, before.drop(columns="probabilities")).is_identical


def test_metrics_are_compared_where_both_runs_have_them() -> None:
    before = {"test/acc": 0.5, "test/loss": float("nan"), "test/gone": 1.0, "val/acc": 0.1, "test/ece": 0.1}
    now = {
        "test/acc": 0.5,
        "test/loss": float("nan"),
        "test/new": 1.0,
        "val/acc": 0.2,
        "test/ece": float(np.nextafter(0.1, 1)),
    }
    assert [(name, same) for name, _, _, same in metric_rows(before, now)] == [
        ("test/acc", True),
        ("test/loss", True),
        ("test/ece", False),
    ]


@pytest.mark.parametrize(
    ("before", "now", "deterministic", "found"),
    [
        ({}, {}, True, []),
        ({}, {"cores": "8", "host": "other"}, True, []),
        ({}, {"cpu": "y", "world_size": "2"}, True, ["processes", "cpu"]),
        ({}, {"git_dirty": "true"}, True, ["uncommitted changes"]),
        ({"git_dirty": "true"}, {"git_dirty": "true"}, True, ["uncommitted changes (what they were is not kept)"]),
        ({}, {}, False, ["trainer.deterministic=false"]),
        ({"data_digest": "1", "evaluated_data_digest": "1"}, {"data_digest": "1"}, True, []),
        (
            {"data_digest": "1", "evaluated_data_digest": "2"},
            {"data_digest": "1"},
            True,
            ["data that it was tested on"],
        ),
    ],
)
def test_what_stands_against_the_same_bits(
    before: dict[str, str], now: dict[str, str], deterministic: bool, found: list[str]
) -> None:
    one = PastRun("1", "one", tags=TAGS | before, packages=PACKAGES)
    two = PastRun("", "today", tags=TAGS | now, packages=PACKAGES)
    assert obstacles(one, two, deterministic=deterministic) == found


def test_what_is_not_known_stands_against_them_too() -> None:
    today = PastRun("", "today", tags=TAGS, packages=PACKAGES)
    unknown = obstacles(PastRun("1", "one", tags={**TAGS, "mlflow.source.git.commit": ""}), today, deterministic=True)
    assert unknown == ["git commit", "packages (not known)"]
    newer = PastRun("", "today", tags=TAGS, packages={**PACKAGES, "torch": "2.15"})
    assert obstacles(PastRun("1", "one", tags=TAGS, packages=PACKAGES), newer, deterministic=True) == [
        "torch (package)"
    ]
    assert expectation([]).endswith("it must come out the same, bit for bit")
    assert expectation(["cpu"]) == "it may come out otherwise, for 1 reason: cpu"
    assert expectation(["cpu", "gpu"]) == "it may come out otherwise, for 2 reasons: cpu, gpu"


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("a: [", RunError, "resolved.yaml of the run 'one' is damaged"),
        ("[]", RunError, "resolved.yaml of the run 'one' is damaged"),
        ({"job": {}}, RunError, "damaged"),
        ({"job": {}, "fold": {"number": 1}, "facts": {"data": 1}}, UserError, "the run 'one' is a fold of a cross-val"),
        ({"job": {}, "facts": {"data": 1}}, RunError, "has no section prepare, evaluate"),
        (
            {"job": {"odd": 1}, "facts": {"data": 1, "prepare": 1, "evaluate": 1}},
            UserError,
            "the configuration of the run 'one' is none of today's code: .*odd.*; check out the commit",
        ),
    ],
)
def test_a_run_that_cannot_be_made_again_is_told(content: Any, error: type[Exception], words: str) -> None:
    if isinstance(content, dict):
        facts = content.pop("facts", None)
        if facts is not None:
            content["tracking"] = {"facts": {"config": facts, "choices": {}, "overrides": []}}
        content = yaml.safe_dump(content)
    with pytest.raises(error, match=words):
        recipe_of(content, "the run 'one'")


def test_a_repetition_is_tested_with_the_confidence_of_the_latest_test() -> None:
    recipe: Any = SimpleNamespace(config={"evaluate": {"confidence": 0.95, "maps": 4}})
    parameter = {"evaluate.confidence": "0.95"}
    for before, confidence in (
        (PastRun("1", "one", params=parameter, tags={"evaluate.confidence": "0.9"}), 0.9),
        (PastRun("1", "one", params={"evaluate.confidence": "0.8"}), 0.8),
        (PastRun("1", "one"), 0.95),
    ):
        assert as_evaluated(before, recipe) == {"confidence": confidence, "maps": 4}


def test_a_run_is_made_again_in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    usual, own = tmp_path / "data/06_models/_work", tmp_path / "data/06_models/_reproduce/abc"
    assert work_root() == usual
    with _apart(own):
        assert work_root() == own
        assert os.environ["FOVEA_FRESH"] == "1"
        own.mkdir(parents=True)
    assert work_root() == usual
    assert "FOVEA_FRESH" not in os.environ
    assert not own.parent.exists()
