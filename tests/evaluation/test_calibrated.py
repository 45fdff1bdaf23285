"""The temperature of a run, for whoever uses its model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fovea.core.errors import RunError, UserError
from fovea.evaluation.calibrated import temperature_of
from fovea.tracking import finding


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [({"calibration/temperature": 1.25}, 1.25), ({"test/acc": 0.9}, None), ({"calibration/temperature": 0.0}, None)],
)
def test_it_is_that_of_the_run(metrics: dict[str, float], expected: float | None, monkeypatch) -> None:
    run = SimpleNamespace(data=SimpleNamespace(metrics=metrics))
    monkeypatch.setattr(finding, "find_run", {"ab": SimpleNamespace(run=run)}.__getitem__)
    assert temperature_of("ab") == expected


@pytest.mark.parametrize("error", [UserError("it was deleted"), RunError("out of reach")])
def test_what_mlflow_cannot_tell_is_not_known_and_said(error: Exception, monkeypatch, caplog) -> None:
    def fail(named: str) -> None:
        raise error

    monkeypatch.setattr(finding, "find_run", fail)
    assert temperature_of("ab") is None
    assert caplog.messages == [f"the temperature of the run ab is not known: {error}"]


def test_without_a_run_nothing_is_asked(monkeypatch) -> None:
    monkeypatch.setattr(finding, "find_run", None)
    assert temperature_of(None) is None
