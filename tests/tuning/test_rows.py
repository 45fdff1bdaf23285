from __future__ import annotations

import csv
import io

from fovea.tuning.results import summary
from fovea.tuning.rows import Row, best_of, best_so_far, counted, counts, reasons, table

ROWS = [
    Row(0, "complete", 0.90, 3, 2.5, {"lr": 0.001}, ("lr=0.001",), "lenet5-a", "1"),
    Row(1, "pruned", 0.99, 1, 1.0, {"lr": 0.1}, ("lr=0.1",), "lenet5-b", "2", "after epoch 1"),
    Row(2, "failed", reason="out of memory", point={"lr": 0.2}),
    Row(3, "complete", 0.95, 3, 2.0, {"lr": 0.00212}, ("lr=0.0021",), "lenet5-c", "3"),
    Row(4, "stopped", 0.97, 2),
    Row(5, "complete", 0.95, 3, 2.0, {"lr": 0.003}, ("lr=0.003",)),
    Row(6, "failed", reason="out of memory", point={"lr": 0.3}),
    Row(7, "diverged", reason="training diverged", point={"lr": 9.0}),
    Row(8, "waiting"),
]


def test_the_best_is_a_complete_trial_the_first_of_equals() -> None:
    best, least = best_of(ROWS, "maximize"), best_of(ROWS, "minimize")
    assert best is not None
    assert least is not None
    assert (best.number, least.number) == (3, 0)
    assert best_of(ROWS[1:3], "maximize") is None


def test_best_so_far() -> None:
    assert best_so_far(ROWS, "maximize") == [(0, 0.90), (3, 0.95), (5, 0.95)]
    assert best_so_far(ROWS, "minimize") == [(0, 0.90), (3, 0.90), (5, 0.90)]


def test_trials_that_are_made_again_do_not_count() -> None:
    assert counts(ROWS) == {"complete": 3, "pruned": 1, "diverged": 1, "failed": 2}
    assert counted(ROWS) == "7 trials: 3 complete, 1 pruned, 1 diverged, 2 failed"
    assert counted(ROWS[:1]) == "1 trial: 1 complete"
    assert counted([]) == "0 trials"


def test_reasons_the_commonest_first() -> None:
    assert list(reasons(ROWS)) == ["2 x out of memory", "training diverged"]


def test_the_table_has_the_values_of_the_overrides() -> None:
    rows = list(csv.DictReader(io.StringIO(table(ROWS, "val/acc", ["lr"]))))
    assert list(rows[0]) == [
        *("trial", "state", "val/acc", "epochs", "seconds", "lr", "run_name", "run_id", "overrides", "reason"),
    ]
    assert (rows[3]["lr"], rows[3]["val/acc"], rows[3]["seconds"]) == ("0.0021", "0.95", "2.0")
    assert (rows[2]["lr"], rows[2]["val/acc"], rows[2]["reason"]) == ("0.2", "", "out of memory")
    assert (rows[8]["state"], rows[8]["lr"]) == ("waiting", "")


def test_the_summary() -> None:
    told = summary("mine", ROWS, "val/acc", "maximize", {"lr": 1.0})
    assert told["best"] == {
        "trial": 3,
        "val/acc": 0.95,
        "overrides": ["lr=0.0021"],
        "run_name": "lenet5-c",
        "run_id": "3",
    }
    assert (told["trials"]["complete"], told["seconds"]) == (3, 7.5)
    assert "best" not in summary("mine", ROWS[1:3], "val/acc", "maximize", {})
