"""What a project holds after a run, and how it differs from what it should."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SPEED = ("throughput/", "time/")
METRICS = "data/08_reporting/metrics.json"
_OUTPUTS = ("data/06_models/model/model.safetensors", METRICS, "data/08_reporting/history.csv")
_UNNAMED = (".git", ".dvc", "mlartifacts", "logs")  # folders whose files have other names in every run


@dataclass(frozen=True)
class Outcome:
    """All that is compared.

    Attributes:
        outputs: Digests of weights, metrics, history and predictions.
        runs: Of every MLflow run, by its name: status, stages, the points of its metrics.
        doubled: Names of runs and points that are there more than once.
        files: Files of the project and of the folder for temporary ones.
        shards: Digests of the prepared data.
        artifacts: Of every run, by its name: its files there and their digests.
    """

    outputs: dict[str, str]
    runs: dict[str, dict[str, Any]]
    doubled: list[str]
    files: set[str]
    shards: dict[str, str]
    artifacts: dict[str, dict[str, str]]


def observe(root: Path) -> Outcome:
    """Looks at a project in which nothing runs."""
    outputs = {name: digest(root / name) for name in _OUTPUTS}
    outputs["predictions"] = _predictions(root / "data/07_model_output/predictions.parquet")
    runs, doubled, artifacts = _runs(root)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and _is_named(path, root)}
    files |= {f"TMPDIR/{path.name}" for path in (root.parent / "tmp").iterdir()}
    shards = {str(path.relative_to(root)): digest(path) for path in (root / "data/03_primary").rglob("*.arrow")}
    return Outcome(outputs, runs, doubled, files, shards, artifacts)


def differences(found: Outcome, whole: Outcome, earlier: Outcome) -> list[str]:
    """What is otherwise than after a run that nobody killed; one sentence each."""
    wrong = [f"{name} differs" for name in whole.outputs if found.outputs.get(name) != whole.outputs[name]]
    wrong += [f"doubled: {name}" for name in found.doubled]
    for name, run in whole.runs.items():
        if name not in found.runs:
            wrong.append(f"run {name} is missing")
            continue
        wrong += [f"run {name}: {key} is {found.runs[name][key]}" for key in run if found.runs[name][key] != run[key]]
    wrong += [f"run {name} is too many" for name in found.runs.keys() - whole.runs.keys()]
    for name, artifacts in earlier.artifacts.items():
        wrong += [] if found.artifacts.get(name) == artifacts else [f"artifacts of the earlier {name} differ"]
    for name, artifacts in whole.artifacts.items():
        lost = artifacts.keys() - found.artifacts.get(name, {}).keys()
        wrong += [f"artifacts of {name} are missing: {sorted(lost)}"] if lost else []
    wrong += [f"left behind: {name}" for name in sorted(found.files - whole.files)]
    wrong += [f"missing: {name}" for name in sorted(whole.files - found.files)]
    wrong += [f"{name} differs" for name in whole.shards if found.shards.get(name) != whole.shards[name]]
    return wrong


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every packed file, which appear whole or not at all."""
    found = {}
    for path in (root / "data/03_primary/.shards").glob("*/[!.]*.arrow"):
        status = path.stat()
        found[path.name] = status.st_ino, status.st_mtime_ns
    return found


def again(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    """What was whole before and was lost or made once more; one sentence each."""
    return [f"{name} was lost or made again" for name, stamp in before.items() if after.get(name) != stamp]


def _runs(root: Path) -> tuple[dict[str, dict[str, Any]], list[str], dict[str, dict[str, str]]]:
    with tempfile.TemporaryDirectory() as folder:
        # Of a file that was replaced since the last look MLflow would go on to see the old one.
        database = shutil.copy2(root / "mlflow.db", folder)
        return _runs_in(database)


def _runs_in(database: str) -> tuple[dict[str, dict[str, Any]], list[str], dict[str, dict[str, str]]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    runs: dict[str, dict[str, Any]] = {}
    artifacts: dict[str, dict[str, str]] = {}
    doubled = []
    for run in client.search_runs([one.experiment_id for one in client.search_experiments()]):
        name = run.info.run_name
        if name in runs:
            doubled.append(f"run {name}")
        curves = {}
        for metric in sorted(run.data.metrics):
            points = client.get_metric_history(run.info.run_id, metric)
            steps = Counter(point.step for point in points)
            doubled += [f"{metric} of {name} at step {step}" for step, count in steps.items() if count > 1]
            curves[metric] = sorted((p.step, 0 if metric.startswith(_SPEED) else p.value) for p in points)
        stages = {key: value for key, value in run.data.tags.items() if key.startswith("stage.")}
        runs[name] = {
            "status": run.info.status,
            "stages": stages,
            "error": run.data.tags.get("error"),
            "parameters": _digest_of(run.data.params),
            "metrics": curves,
        }
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        artifacts[name] = {str(p.relative_to(folder)): digest(p) for p in folder.rglob("*") if p.is_file()}
    return runs, doubled, artifacts


def _is_named(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    return parts[0] not in _UNNAMED and "__pycache__" not in parts


def _predictions(path: Path) -> str:
    import pyarrow.parquet as pq

    return _digest_of(pq.read_table(path).to_pydict()) if path.exists() else "missing"


def digest(path: Path) -> str:
    """Hex sha256 of a file, or `missing`."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _digest_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
