"""A script for Ray: the training by Ray Train, then the evaluation."""

from __future__ import annotations

import shlex
import sys

from fovea.commands.clusters.task import Task, script


def entrypoint(task: Task) -> str:
    """The text of the script that is a Ray job's entrypoint.

    Args:
        task: What is trained.
    """
    wanted = task.resources
    training = [sys.executable, "-m", "fovea.training.on_ray", str(task.resolved)]
    training += ["--workers", _range(wanted.min_nodes * wanted.processes, wanted.nodes * wanted.processes)]
    training += ["--cpus-per-worker", str(max(1, wanted.cpus // wanted.processes))]
    training += ["--use-gpu"] if wanted.gpus else []
    return script(
        [
            "#!/bin/bash",
            f"# Trains {task.summary}, then evaluates it.",
            "# Written by `kedro submit ray`.",
            "set -eu",
            f"cd {shlex.quote(str(task.root))}",
            shlex.join(training),
            task.evaluation(sys.executable),
        ]
    )


def _range(least: int, most: int) -> str:
    return str(most) if least == most else f"{least}:{most}"
