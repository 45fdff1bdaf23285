"""What the benchmarks share: a clean copy of the project, timed commands, result files."""

from __future__ import annotations

import csv
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
BIN = Path(sys.executable).parent


def mirror() -> Path:
    """The folder of source files: `FOVEA_MIRROR`, or the samples beside the checkout."""
    folder = Path(os.environ.get("FOVEA_MIRROR", PROJECT.parent / "shared" / "data"))
    if not (folder / "mnist").is_dir():
        sys.exit(f"the MNIST files are not at {folder}/mnist; set FOVEA_MIRROR to a folder that has them")
    return folder


def environment(**more: str) -> dict[str, str]:
    """The environment of a measured command: this Python's tools first, nothing of a surrounding stage or run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "KEDRO_", "FOVEA_"))}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "FOVEA_MIRROR": str(mirror()), **more}


@contextmanager
def project_copy() -> Iterator[Path]:
    """A copy of the project's files (no data, no tracking database) that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as folder:
        root = Path(folder) / "project"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=PROJECT, check=True, capture_output=True, text=True
        )
        for name in listed.stdout.splitlines():
            if (PROJECT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, root / name)
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "copy"]):
            identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
            subprocess.run(["git", *identity, *command], cwd=root, check=True)
        yield root


@dataclass(frozen=True)
class Timed:
    """A finished command.

    Attributes:
        seconds: Wall time of the whole process.
        output: Standard output and standard error, in order.
    """

    seconds: float
    output: str


def timed(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Timed:
    """Runs a command and takes the time; ends the benchmark if it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=cwd,
        env=dict(env or environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return Timed(seconds, done.stdout)


def processor_seconds() -> float:
    """Processor time of all commands that have ended, which tells the work of one even on a machine that others use."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def keep(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes the rows to `results/<name>.csv`, with the date, the machine and the command that made them."""
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "command": f"python benchmarks/{name}.py {shlex.join(sys.argv[1:])}".strip(),
    }
    RESULTS.mkdir(exist_ok=True)
    columns = list(dict.fromkeys([key for row in rows for key in row] + list(facts)))
    with (RESULTS / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **facts} for row in rows)
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items()))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
