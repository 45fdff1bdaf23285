"""Trains what a work folder's `resolved.yaml` says on a Ray cluster, by Ray Train; Ray is the extra `ray`.

    python -m fovea.training.on_ray data/06_models/_work/NAME/resolved.yaml --workers N [--use-gpu]

Ray places the processes, tells them their ranks and replaces those that die; what they run is the worker itself
(`fovea.training.worker`), so that its checkpoints, its MLflow run and its result are those of every other launcher.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.errors import FoveaError, RunError, UserError
from fovea.core.files import atomic_file
from fovea.core.places import project_root
from fovea.training.failures import REPORT
from fovea.training.launcher import least_and_most
from fovea.training.worker import read_job

if TYPE_CHECKING:
    from fovea.config.schema import LaunchConfig

log = logging.getLogger("fovea")

NOTE = "ray.json"
"""In the work folder: how a worker ended that would end the same way again."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_TRAIN_V2_ENABLED": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the training; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m fovea.training.on_ray", description=__doc__.split("\n")[0])
    parser.add_argument("resolved", type=Path, help="the work folder's resolved.yaml")
    parser.add_argument("--workers", required=True, help="processes that train, as N or LEAST:MOST")
    parser.add_argument("--use-gpu", action="store_true", help="one GPU for each")
    parser.add_argument("--cpus-per-worker", type=int, default=1, help="cores for each")
    words = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        job = read_job(words.resolved).job
        scaling = {"num_workers": _workers(words.workers), "use_gpu": words.use_gpu}
        scaling["resources_per_worker"] = {"CPU": words.cpus_per_worker, **({"GPU": 1} if words.use_gpu else {})}
        fit(words.resolved.resolve(), scaling, job.trainer.launch)
    except FoveaError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


def fit(resolved: Path, scaling: Mapping[str, Any], launch: LaunchConfig) -> None:
    """Trains with Ray Train on the cluster that `RAY_ADDRESS` names, as it does in a job of Ray.

    Args:
        resolved: The file that the worker takes.
        scaling: Arguments of Ray's `ScalingConfig`.
        launch: How often processes are replaced, and how long they wait for each other.

    Raises:
        UserError: Ray is not installed, or there is no cluster.
        RunError: Training failed, also after `trainer.launch.max_restarts` restarts.
    """
    if not os.environ.get("RAY_ADDRESS"):
        raise UserError(
            "RAY_ADDRESS names no cluster; hand the script in with `ray job submit`, or set RAY_ADDRESS=local for a "
            "cluster of this machine alone"
        )
    os.environ |= _SETTINGS
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError as error:
        raise UserError(f"Ray is not installed ({error}); run: pip install 'fovea[ray]'") from error
    note = resolved.with_name(NOTE)
    note.unlink(missing_ok=True)
    trainer = TorchTrainer(
        work,
        train_loop_config={"resolved": str(resolved), "root": str(project_root())},
        scaling_config=ScalingConfig(**scaling),
        run_config=RunConfig(
            name="ray",
            storage_path=str(resolved.parent),
            failure_config=FailureConfig(max_failures=launch.max_restarts),
        ),
        torch_config=TorchConfig(timeout_s=int(2 * launch.timeout_seconds)),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        failures = getattr(error, "worker_failures", None) or {None: error}
        raise RunError(f"training on Ray failed: {_sentence(failures)}") from error
    if note.exists():
        said = json.loads(note.read_text())
        raise (UserError if said["code"] == UserError.exit_code else RunError)(said["sentence"])


def work(config: Mapping[str, str]) -> None:
    """What each process runs: the worker, in the project's folder.

    Ray starts all processes again when one raises. What would come again is noted instead, and they end.

    Args:
        config: `resolved`, the file that the worker takes, and `root`, the project's folder.

    Raises:
        RunError: The worker ended in a way that a restart may mend.
    """
    from fovea.training import worker

    note = Path(config["resolved"]).with_name(NOTE)
    if note.exists():
        return
    os.environ["FOVEA_ROOT"] = config["root"]
    os.chdir(config["root"])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        os.environ[REPORT] = str(report)
        code = worker.main([config["resolved"]])
        sentence = json.loads(report.read_text())["message"]["message"] if report.exists() else f"exit code {code}"
    if code in (UserError.exit_code, RunError.exit_code):
        with atomic_file(note) as temporary:
            temporary.write_text(json.dumps({"code": code, "sentence": sentence}))
    elif code:
        raise RunError(sentence)


def _sentence(failures: Mapping[Any, BaseException]) -> str:
    """The last line of the first process's failure, which Ray gives as the text of a traceback."""
    rank, failure = next(iter(sorted(failures.items(), key=lambda item: str(item[0]))))
    last = str(failure).strip().splitlines()[-1]
    return last if rank is None else f"rank {rank}: {last}"


def _workers(text: str) -> int | tuple[int, int]:
    numbers = least_and_most(text, "--workers", "processes", "4 or 2:4")
    return numbers[0] if numbers[0] == numbers[1] else numbers


if __name__ == "__main__":
    sys.exit(main())
