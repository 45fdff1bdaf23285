"""The command line, environment variables, notebooks and Python sessions compose the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from fovea.config.compose import compose
from fovea.core.errors import UserError
from fovea.notebook import load

Write = Callable[[str, str], Path]
pytestmark = pytest.mark.usefixtures("own_logging")


def _by_session(root: Path, env: str | None, params: dict[str, Any] | None) -> dict[str, Any]:
    bootstrap_project(root)
    context = KedroSession.create(root, env=env, runtime_params=params).load_context()
    found: dict[str, Any] = context.config_loader["parameters"]
    return found


def _by_command(root: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "kedro", "config", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return dict(yaml.safe_load(done.stdout))


def test_session_notebook_and_command(workspace: Path, write: Write) -> None:
    write("local/overrides.yaml", "trainer: {threads: 2}\n")
    lines = ["model=deep_mnist", "optimizer.lr=0.25"]
    expected = compose(workspace / "conf", lines).config
    assert _by_session(workspace, None, {"overrides": lines}) == expected
    assert _by_session(workspace, None, {"overrides": lines[:1], "optimizer": {"lr": 0.25}}) == expected
    opened = load(lines)
    assert opened.composition.config == expected
    assert opened.config.optimizer.lr == 0.25
    assert opened.catalog.load("params:model") == expected["model"]
    assert opened.session.store["runtime_params"] == {"overrides": lines}
    assert _by_command(workspace, *lines) == expected


def test_environments(workspace: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("prod/overrides.yaml", "defaults:\n  - override /model: deep_mnist\nseed: 8\n")
    expected = compose(workspace / "conf", ["debug=fast"], "prod").config
    assert (expected["model"]["name"], expected["seed"]) == ("deep_mnist", 8)
    params = {"overrides": ["debug=fast"]}
    assert _by_session(workspace, "prod", params) == expected
    assert load(["debug=fast"], env="prod").composition.config == expected
    assert _by_command(workspace, "--env=prod", "debug=fast") == expected
    monkeypatch.setenv("KEDRO_ENV", "prod")
    assert _by_session(workspace, None, params) == expected
    assert load(["debug=fast"]).composition.config == expected
    assert _by_command(workspace, "debug=fast") == expected


def test_from_a_folder_inside_the_project(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "notebooks").mkdir()
    monkeypatch.chdir(workspace / "notebooks")
    assert load(["seed=3"]).config.seed == 3


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is not inside a Fovea project"):
        load()


def test_ipython(workspace: Path, write: Write) -> None:
    write("local/overrides.yaml", "seed: 4\n")
    code = (
        "import json; keep = context.config_loader\n"
        "%reload_kedro --params=trainer.max_epochs=5,overrides=[model=deep_mnist]\n"
        "print('FOUND', json.dumps([keep['parameters'], context.config_loader['parameters']]))"
    )
    command = [sys.executable, "-m", "IPython", "--quick", "--ext", "kedro.ipython", "-c", code]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))
    plain, reloaded = json.loads(line.removeprefix("FOUND"))
    assert plain == compose(workspace / "conf").config
    assert reloaded == compose(workspace / "conf", ["trainer.max_epochs=5", "model=deep_mnist"]).config
