"""`kedro tune`: what it says and starts when the search has ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from fovea.commands import tune
from fovea.tuning.recipe import run_words
from fovea.tuning.rows import Row
from fovea.tuning.study import Study

Kedro = Callable[..., Result]
BEST = ["optimizer.lr=0.01", "data.mean=[0.5]", "data.folder='my pets'"]


@pytest.fixture
def started(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are started after a search whose best trial is `BEST`."""
    root = own_project.resolve()
    found: list[list[str]] = []

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        found.append(words)
        return subprocess.CompletedProcess(words, 0)

    best = Row(number=1, state="complete", value=0.5, overrides=tuple(BEST))
    monkeypatch.setattr(tune, "_search", lambda *_: Study("mine", root / "there", [best], best))
    monkeypatch.setattr(tune, "subprocess", SimpleNamespace(run=run))
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    return found


@pytest.mark.parametrize(
    ("words", "variable", "env"),
    [((), None, []), (("--env", "lab"), None, ["--env", "lab"]), ((), "lab", ["--env", "lab"])],
)
def test_the_best_trial_is_trained_in_the_environment_of_the_search(
    kedro: Kedro,
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    variable: str | None,
    env: list[str],
) -> None:
    if variable is not None:
        monkeypatch.setenv("KEDRO_ENV", variable)
    result = kedro("tune", "--train-best", *words)
    assert result.exit_code == 0, result.output
    assert started == [[sys.executable, "-m", "fovea", "run", *env, *BEST]]
    (line,) = result.stdout.splitlines()
    # As the command's help has it: eval "kedro run $(kedro tune | tail -1)"
    shell = 'kedro() { printf "%s\\n" "$@"; }; eval "kedro run $LINE"'
    read = subprocess.run(["sh", "-c", shell], env={"LINE": line}, capture_output=True, text=True, check=True)
    assert read.stdout.splitlines() == ["run", *env, *BEST]


def test_words_name_no_environment_where_there_is_none() -> None:
    assert run_words(None, ["seed=1"]) == ("seed=1",)
    assert run_words("lab", ["seed=1"]) == ("--env", "lab", "seed=1")
