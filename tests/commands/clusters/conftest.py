"""A training for a cluster, and commands of a cluster that only say what they were asked for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fovea.commands.clusters.task import Resources, Task


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Task]:
    """A task in a project with a blank in its path; keyword arguments change what is asked of the nodes."""
    root = tmp_path / "my project"
    asked = Resources(nodes=1, min_nodes=1, processes=2, gpus=0, cpus=8, memory=None)

    def make(**changes: Any) -> Task:
        work = root / "data/06_models/_work/lenet5-digits-1a2b3c4d"
        work.mkdir(parents=True, exist_ok=True)
        (work / "resolved.yaml").write_text("job: {}\n")
        run = ("model=lenet5", "data.mean=[0.5]")
        return Task(work.name, root, work, run, replace(asked, **changes))

    return make


@pytest.fixture
def run_with_fakes(tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Runs a command with programs in the place of those of the cluster.

    Each fake is the body of a shell script; a line of `calls` tells its name and its words. The function gives the exit
    code and those lines.
    """
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()

    def run(command: list[str], fakes: dict[str, str], **variables: str) -> tuple[int, list[str]]:
        for name, body in fakes.items():
            program = folder / name
            program.write_text(f'#!/bin/bash\n(printf "%s" {name}; printf " <%s>" "$@"; echo) >> "{calls}"\n{body}\n')
            program.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **variables}
        calls.unlink(missing_ok=True)
        ended = subprocess.run(command, env=environment, timeout=30, check=False)
        return ended.returncode, calls.read_text().splitlines() if calls.exists() else []

    return run
