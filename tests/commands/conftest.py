"""A project with pipelines of stub nodes, and its commands in this process."""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kedro.framework.project import configure_project
from kedro.pipeline import Pipeline, node

import fovea.pipeline_registry


@dataclass
class Stage:
    """The stub pipeline: a node `ingest`, then a node `train` which does what a test wants.

    Attributes:
        train: What the second node does with the section `trainer`.
        ran: The nodes that ran.
        seen: The section `trainer` that the second node got.
    """

    train: Callable[[], None] = lambda: None
    ran: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)

    def pipelines(self) -> dict[str, Pipeline]:
        """The pipelines by name."""

        def ingest(seed: int) -> int:
            self.ran.append("ingest")
            return seed

        def train(trainer: dict[str, Any], _source: int) -> int:
            self.ran.append("train")
            self.seen = trainer
            self.train()
            return 1

        first = Pipeline([node(ingest, "params:seed", "stub_source", name="ingest", tags=["ingest"])])
        second = Pipeline([node(train, ["params:trainer", "stub_source"], "stub_model", name="train", tags=["train"])])
        return {"__default__": first + second, "ingest": first, "train": second}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stub pipeline in the place of the registered ones."""
    stub = Stage()
    monkeypatch.setattr(fovea.pipeline_registry, "register_pipelines", stub.pipelines)
    return stub


@pytest.fixture
def own_project(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of its own, as the working directory; the process's logging is put back after the test."""
    root = tmp_path / "project"
    shutil.copytree(project / "conf", root / "conf", ignore=shutil.ignore_patterns("overrides.yaml"))
    shutil.copy(project / "pyproject.toml", root)
    (root / "conf" / "local").mkdir(exist_ok=True)
    (root / "src").mkdir()
    monkeypatch.chdir(root)
    logger, ours = logging.getLogger(), logging.getLogger("fovea")
    before, level, our_level, show = list(logger.handlers), logger.level, ours.level, warnings.showwarning
    yield root
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        if handler not in before:
            handler.close()
    for handler in before:
        logger.addHandler(handler)
    logger.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(False)
    warnings.showwarning = show


@pytest.fixture
def kedro(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls a command of ours in this process, as `kedro <arguments>`."""
    from fovea.cli import cli

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/kedro", *arguments])
        configure_project("fovea")
        return CliRunner().invoke(cli, list(arguments), prog_name="kedro")

    return call
