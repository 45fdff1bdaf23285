from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fovea.comparison.fetch import history
from fovea.core.errors import RunError, UserError


def found(content: str | None) -> Any:
    """A run whose model's curves are `content`."""

    def artifact(name: str, folder: Path) -> Path | None:
        assert name == "model/history.json"
        if content is None:
            return None
        (folder / "history.json").write_text(content)
        return folder / "history.json"

    run = SimpleNamespace(info=SimpleNamespace(status="FINISHED"))
    return SimpleNamespace(name="lenet5-digits-0", run_id="0" * 32, run=run, artifact=artifact)


def test_curves_are_a_row_an_epoch() -> None:
    rows = [{"epoch": 1, "val/acc": 0.5}, {"epoch": 2, "val/acc": 0.75}]
    assert history(found(json.dumps(rows))).to_dict("records") == rows


def test_a_run_without_a_model_is_refused() -> None:
    with pytest.raises(UserError, match=r"'lenet5-digits-0' .* holds no trained model with its curves"):
        history(found(None))


def test_damaged_curves_are_named() -> None:
    with pytest.raises(RunError, match=r"model/history\.json of the run 'lenet5-digits-0' .* is damaged"):
        history(found('[{"epoch"'))
