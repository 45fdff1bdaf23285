"""The trials in Optuna's database: who proposes, who counts, and what becomes of those whose process is gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from fovea.core.errors import RunError, UserError
from fovea.tracking.facts import process_identity
from fovea.tuning import ledger as ledgers
from fovea.tuning.ledger import Ledger, note
from fovea.tuning.space import Space

IDENTITY = {"search": {"sampler": "tpe"}, "data": "d", "tried": {}}


def _space(**changes: Any) -> Space:
    parameters = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "model": ["a", "b"], "size": {"low": 1, "high": 9}}
    return Space.of("mine", {"parameters": parameters, "startup_trials": 2, **changes})


def _grid() -> Space:
    return _space(sampler="grid", parameters={"model": ["a", "b"], "size": {"low": 1, "high": 2}})


Begin = Callable[..., Ledger]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: making it takes longer than they do."""
    return tmp_path_factory.mktemp("ledger") / "tune.db"


@pytest.fixture
def begin(database: Path, request: pytest.FixtureRequest) -> Begin:
    """Opens a search of the test's own: `begin(space, name)`."""

    def call(space: Space, name: str = "one") -> Ledger:
        ledger = Ledger.open(database, f"{request.node.name}-{name}", space)
        ledger.claim(IDENTITY)
        return ledger

    return call


def _value(trial: Any) -> float:
    return float(trial.params["size"])


def _make(ledger: Ledger, limit: int = 99, ended: str = "complete", **facts: Any) -> Any:
    trial = ledger.next(limit, (), 5)
    assert trial is not None
    note(trial, ended=ended, **facts)
    complete = ended == "complete"
    state = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL}.get(ended, TrialState.PRUNED)
    ledger.study.tell(trial.number, _value(trial) if complete else None, state)
    return trial.params


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets trials begun from now on belong to a process that is gone."""
    gone = " ".join([*process_identity(os.getpid()).split()[:2], "999999999", "1"])
    return lambda: monkeypatch.setattr(ledgers, "process_identity", lambda _pid: gone)


def test_a_search_that_is_opened_again_goes_on_with_the_same_proposals(begin: Begin) -> None:
    whole = begin(_space(), "whole")
    proposed = [_make(whole) for _ in range(6)]
    assert len({str(params) for params in proposed}) == 6
    parts = []
    for _ in range(6):
        parts.append(_make(begin(_space(), "parts")))
    assert parts == proposed
    assert [_make(begin(_space(seed=1), "other"))] != proposed[:1]


def test_a_trial_whose_process_is_gone_is_made_again_and_changes_no_proposal(begin: Begin, dead: Any) -> None:
    whole = begin(_space(), "whole")
    proposed = [_make(whole) for _ in range(4)]
    ledger = begin(_space(), "stopped")
    assert _make(ledger) == proposed[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "process_identity", lambda _pid: "here 1 999999999 1")
        patch.setattr(ledgers, "is_dead", lambda identity: identity.startswith("here"))
        lost = ledger.next(99, (), 5)
        assert lost is not None
        assert [row.state for row in ledger.rows()] == ["complete", "stopped"]
        ledger.give_back()
    assert [row.state for row in ledger.rows()] == ["complete", "stopped", "waiting"]
    assert [_make(ledger) for _ in range(3)] == proposed[1:]
    assert [row.number for row in ledger.rows() if row.counts] == [0, 2, 3, 4]


def test_trials_of_living_processes_are_left_alone(begin: Begin) -> None:
    ledger = begin(_space())
    ledger.next(99, (), 5)
    ledger.give_back()
    assert [row.state for row in ledger.rows()] == ["running"]


def test_a_trial_that_kills_its_process_twice_has_failed(begin: Begin, dead: Any) -> None:
    dead()
    ledger = begin(_space())
    first = ledger.next(99, (), 5)
    ledger.give_back(crashed=True)
    again = ledger.next(99, (), 5)
    assert first is not None
    assert again is not None
    assert again.params == first.params
    ledger.give_back(crashed=True)
    rows = ledger.rows()
    assert [row.state for row in rows] == ["stopped", "failed"]
    assert rows[1].reason.endswith("and again")


def test_interruptions_may_come_as_often_as_they_like(begin: Begin, dead: Any) -> None:
    dead()
    ledger = begin(_space())
    for _ in range(4):
        assert ledger.next(99, (), 5) is not None
        ledger.give_back()
    assert [row.state for row in ledger.rows()] == ["stopped"] * 4 + ["waiting"]


def test_no_more_trials_than_asked_for_also_with_some_under_way(begin: Begin) -> None:
    ledger = begin(_space())
    _make(ledger, 3)
    assert ledger.next(3, (), 5) is not None
    assert ledger.next(3, (), 5) is not None
    assert ledger.next(3, (), 5) is None
    assert ledger.next(4, (), 5) is not None


def test_a_search_in_which_all_fails_is_given_up(begin: Begin) -> None:
    ledger = begin(_space())
    for _ in range(5):
        _make(ledger, ended="failed", reason="no room")
    assert ledger.next(99, (), 5) is None
    assert ledger.next(99, range(5), 5) is not None  # another command tries anew


def test_a_grid_in_which_all_fails_is_given_up(begin: Begin) -> None:
    ledger = begin(_space(sampler="grid", parameters={"size": {"low": 1, "high": 20}}))
    before = [row.number for row in ledger.rows() if row.counts]
    assert (len(ledger.rows()), before) == (20, [])  # all points wait from the beginning
    for _ in range(5):
        _make(ledger, ended="failed", reason="no room")
    assert ledger.next(20, before, 5) is None
    again = ledger.next(20, range(5), 5)
    assert again is not None
    assert again.params == {"size": 6}


def test_diverged_trials_teach_and_count(begin: Begin) -> None:
    ledger = begin(_space())
    _make(ledger, ended="diverged", reason="training diverged")
    (row,) = ledger.rows()
    assert (row.state, row.value, row.counts) == ("diverged", None, True)
    assert ledger.study.trials[0].state is TrialState.PRUNED


def test_a_grid_waits_in_the_database(begin: Begin) -> None:
    ledger = begin(_grid())
    begin(_grid())  # once more, which adds nothing
    points = [_make(ledger, 4) for _ in range(4)]
    assert points == [{"model": m, "size": s} for m in ("a", "b") for s in (1, 2)]
    assert ledger.next(4, (), 5) is None


def test_another_search_of_the_same_name_is_refused(begin: Begin) -> None:
    ledger = begin(_space())
    with pytest.raises(UserError) as caught:
        ledger.claim({**IDENTITY, "data": "e"})
    assert str(caught.value) == (
        f"the study '{ledger.study.study_name}' is another search: data was d and is e; take another name for this one "
        "(--study), or put that back"
    )


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "tune.db").write_text("this is no database, however long it is read\n" * 40)
    with pytest.raises(RunError, match=r"tune.db cannot be opened \(.*; move it away"):
        Ledger.open(tmp_path / "tune.db", "one", _space())


def test_rows_tell_what_the_database_knows(begin: Begin) -> None:
    ledger = begin(_space())
    trial = ledger.next(9, (), 5)
    assert trial is not None
    trial.report(0.25, 1)
    trial.report(0.5, 2)
    note(trial, run_name="lenet5-x", overrides=["lr=0.1"])
    note(trial, ended="pruned", reason="after epoch 2", run_id="7")
    ledger.study.tell(trial.number, state=TrialState.PRUNED)
    (row,) = ledger.rows()
    assert (row.value, row.epochs, row.run_name, row.run_id) == (0.5, 2, "lenet5-x", "7")
    assert (row.overrides, row.reason, row.point) == (("lr=0.1",), "after epoch 2", trial.params)


@pytest.mark.parametrize(
    ("pruner", "epochs", "kind"),
    [
        ("median", 5, optuna.pruners.MedianPruner),
        ("hyperband", 9, optuna.pruners.HyperbandPruner),
        ("hyperband", 2, optuna.pruners.NopPruner),
        ("none", 9, optuna.pruners.NopPruner),
    ],
)
def test_the_pruner_is_that_of_the_space(begin: Begin, pruner: str, epochs: int, kind: type) -> None:
    ledger = begin(_space(pruner=pruner))
    ledger.next(9, (), epochs)
    assert isinstance(ledger.study.pruner, kind)


def test_no_trial_is_ended_in_the_first_epochs(begin: Begin) -> None:
    ledger = begin(_space(startup_trials=2, warmup_epochs=2))
    for _ in range(3):
        trial = ledger.next(9, (), 5)
        assert trial is not None
        for epoch in range(1, 6):
            trial.report(0.9, epoch)
        note(trial, ended="complete")
        ledger.study.tell(trial.number, 0.9)
    bad = ledger.next(9, (), 5)
    assert bad is not None
    ended = []
    for epoch in range(1, 6):
        bad.report(0.1, epoch)
        ended.append(bad.should_prune())
    assert ended == [False, False, True, True, True]


def test_importances_need_complete_trials(begin: Begin) -> None:
    ledger = begin(_space())
    assert ledger.importances() == {}
    for _ in range(8):
        _make(ledger)
    found = ledger.importances()
    assert next(iter(found)) == "size"  # the value of these trials is their size
    assert sum(found.values()) == pytest.approx(1.0)
