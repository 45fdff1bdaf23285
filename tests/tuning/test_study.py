"""What the workers of a command are told of the trials that there were before it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState

from fovea.training.workfolder import WorkFolder, let_go
from fovea.tuning import ledger as ledgers
from fovea.tuning import study
from fovea.tuning.ledger import Ledger, note
from fovea.tuning.plan import Plan
from fovea.tuning.recipe import Recipe
from fovea.tuning.space import Space


@pytest.fixture
def grid(tmp_path: Path) -> Ledger:
    """A grid of eight trials, of which none has begun."""
    space = Space.of("mine", {"sampler": "grid", "parameters": {"size": {"low": 1, "high": 8}}})
    ledger = Ledger.open(tmp_path / "tune.db", "mine", space)
    ledger.claim({"search": {}})
    return ledger


def _plan(ledger: Ledger, folder: Path) -> Plan:
    """The plan of a command, as its workers read it."""
    conf = folder / "mine"
    conf.mkdir(parents=True, exist_ok=True)
    base: Any = SimpleNamespace(job=SimpleNamespace(trainer=SimpleNamespace(max_epochs=5)))
    prepared: Any = SimpleNamespace(address={})
    recipe = Recipe(conf, None, {}, ("seed=1",))
    plan = study._plan("mine", ledger, recipe, base, prepared, study.Wish(), folder)
    plan.write(folder / "plan.json")
    return Plan.read(folder / "plan.json")


def _fail(ledger: Ledger, plan: Plan) -> bool:
    """Begins a trial, which fails; False: none was to begin."""
    trial = ledger.next(plan.trials, plan.before, plan.max_epochs)
    if trial is None:
        return False
    note(trial, ended="failed", reason="no room")
    ledger.study.tell(trial.number, state=TrialState.FAIL)
    return True


def test_a_grid_whose_trials_fail_is_given_up_by_each_command(grid: Ledger, tmp_path: Path) -> None:
    first = _plan(grid, tmp_path)
    assert (first.before, first.trials, first.overrides) == ((), 8, ("seed=1",))
    assert [_fail(grid, first) for _ in range(6)] == [True] * 5 + [False]
    second = _plan(grid, tmp_path)
    assert second.before == (0, 1, 2, 3, 4)
    assert [_fail(grid, second) for _ in range(4)] == [True] * 3 + [False]
    assert [row.state for row in grid.rows()] == ["failed"] * 8


@pytest.mark.parametrize(
    ("state", "states"),
    [("free", ["stopped", "waiting"]), ("taken", ["running"]), ("another project's", ["running"])],
)
def test_a_trial_of_a_container_that_is_gone_is_made_again(
    grid: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, states: list[str]
) -> None:
    monkeypatch.setattr(study, "_REST_SECONDS", 0.0)
    monkeypatch.setenv("FOVEA_WORK", str(tmp_path / "work"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "process_identity", lambda _pid: "container pid:[7] 12 345")
        trial = grid.next(8, (), 5)
    assert trial is not None
    note(trial, run_name="lenet5-x")
    work = WorkFolder.of("lenet5-x")
    if state != "another project's":
        work.path.mkdir(parents=True)
    if state == "taken":
        work.take()
    try:
        study._rest(grid)
    finally:
        let_go(remove=False)
    rows = [row for row in grid.rows() if row.point == trial.params]
    assert [row.state for row in rows] == states
    assert sum(row.state == "waiting" for row in grid.rows()) == 7 + (state == "free")
