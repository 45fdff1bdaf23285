"""Copies of the configuration that a test may break."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def workspace(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own: a copy of conf/ without a developer's own layer; the working directory lies in it."""
    root = tmp_path / "project"
    shutil.copytree(project / "conf", root / "conf", ignore=shutil.ignore_patterns("overrides.yaml"))
    shutil.copy(project / "pyproject.toml", root)
    (root / "conf" / "local").mkdir(exist_ok=True)
    (root / "src").mkdir()
    monkeypatch.chdir(root)
    # What `bootstrap_project` changes for good.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return root


@pytest.fixture
def conf(workspace: Path) -> Path:
    """The configuration's folder in the workspace."""
    return workspace / "conf"


@pytest.fixture
def write(conf: Path) -> Callable[[str, str], Path]:
    """Writes a file of the configuration, given its path below conf/."""

    def _write(name: str, text: str) -> Path:
        path = conf / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Puts the process's logging back after a test that configures it."""
    root, ours = logging.getLogger(), logging.getLogger("fovea")
    before, level, our_level, show = list(root.handlers), root.level, ours.level, warnings.showwarning
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        if handler not in before:
            handler.close()
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(False)
    warnings.showwarning = show
