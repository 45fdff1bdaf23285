"""Training in two processes: throughput, launch cost, restart after a death. On processors, over gloo.

Claims: two processes of one thread each reach at least 0.9 of the images/s of one process of two threads, with the same
global batch (ResNet-18 at 64 pixels); from the start of the train node to the first step it takes at most 1.5 times
as long as importing what a worker needs, in as many processes at once. How long a restart takes is reported.

    python benchmarks/processes.py [throughput] [launch]      default: both
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from common import BIN, environment, keep, project_copy, timed
from samples import IMAGENETTE

_TWO = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu")
_ONE = ("trainer.devices=1", "trainer.threads=2", "trainer.accelerator=cpu")
_BF16 = ("trainer.gradient_compression=bf16",)
_LARGE = ("loader.batch_size=256",)
_VARIANTS = ((_ONE, ()), (_TWO, ()), (_TWO, _BF16), (_ONE, _LARGE), (_TWO, _LARGE))
_EPOCHS = 3
_PAIRS = 3
# What a worker has loaded at its first step.
_IMPORTS = (
    "import fovea.training.worker, fovea.training.stage, fovea.training.fit, fovea.training.network, "
    "fovea.shards.folds, fovea.models.layers, fovea.tracking.store, mlflow.tracking, albumentations"
)


def main() -> None:
    """Runs the parts that are named."""
    parts = sys.argv[1:] or ["throughput", "launch"]
    rows: list[dict[str, object]] = []
    if "throughput" in parts:
        rows += _throughput()
    if "launch" in parts:
        rows += _launch()
    keep("processes", rows)


def _throughput() -> list[dict[str, object]]:
    """Batches of 64 with gradients as they are and as bf16, and batches of 256, where gradients travel less often."""
    rates: dict[tuple[str, ...], list[float]] = {(*kind, *more): [] for kind, more in _VARIANTS}
    with project_copy() as root:
        for seed in range(_PAIRS):
            for kind, found in rates.items():
                words = ["experiment=imagenette", *IMAGENETTE, f"trainer.max_epochs={_EPOCHS}", f"seed={seed}", *kind]
                run = timed([str(BIN / "kedro"), "run", *words], root, environment(PYTHONPATH=str(root / "src")))
                shown = re.findall(r"([\d,]+) images/s", run.output)[-(_EPOCHS - 1) :]
                found.append(max(float(one.replace(",", "")) for one in shown))
                print(seed, *kind, found[-1], flush=True)
    rows: list[dict[str, object]] = []
    for kind, more in _VARIANTS:
        if kind is _TWO:
            two = statistics.median(rates[(*kind, *more)])
            one = statistics.median(rates[(*_ONE, *(word for word in more if word not in _BF16))])
            words = " ".join(word.removeprefix("loader.") for word in more) or "batch_size=64"
            what = f"resnet18 at 64 px, {words}: images/s of two processes over one"
            rows.append({"what": what, "value": round(two), "peer": round(one), "ratio": round(two / one, 3)})
    return rows


def _launch() -> list[dict[str, object]]:
    words = [*_TWO, "trainer.max_epochs=4", "callbacks.checkpoint.every_n_steps=10"]
    launches, imports, restarts = [], [], []
    with project_copy() as root:
        env = environment(PYTHONPATH=str(root / "src"))
        timed([str(BIN / "kedro"), "run", "trainer.max_epochs=1"], root, env)
        for seed in range(1, _PAIRS + 1):
            imports.append(_import_seconds(root, env))
            launch, restart = _killed_once(root, env, [*words, f"seed={seed}"])
            launches.append(launch)
            restarts.append(restart)
    launch, imported = statistics.median(launches), statistics.median(imports)
    return [
        {
            "what": "seconds from the train node's start to the first step, over importing in two processes",
            "value": round(launch, 2),
            "peer": round(imported, 2),
            "ratio": round(launch / imported, 3),
        },
        {"what": "seconds from a worker's death to the next step", "value": round(statistics.median(restarts), 2)},
    ]


def _import_seconds(root: Path, env: dict[str, str]) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-c", _IMPORTS]
    both = [subprocess.Popen(command, cwd=root, env={**env, "OMP_NUM_THREADS": "1"}) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    return time.perf_counter() - start


def _killed_once(root: Path, env: dict[str, str], words: list[str]) -> tuple[float, float]:
    """Kills rank 1 in the second epoch; the seconds to the first step, and from the kill to the next first step."""
    log = root / "logs" / "fovea.log"
    before = len(log.read_text().splitlines())
    with subprocess.Popen(
        [str(BIN / "kedro"), "run", *words],
        cwd=root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        killed = None
        for line in process.stdout:
            if killed is None and line.startswith("epoch 1/"):
                os.kill(_worker(root, rank=1), signal.SIGKILL)
                killed = datetime.now()
    assert process.returncode == 0
    assert killed is not None
    lines = log.read_text().splitlines()[before:]
    node = _moment(next(line for line in lines if "Running node: train" in line))
    first, second = (_moment(line) for line in lines if "at the first step of this process" in line)
    return (first - node).total_seconds(), (second - killed).total_seconds()


def _moment(line: str) -> datetime:
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")


def _worker(root: Path, rank: int) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, variables = ((process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:
            continue
        mine = f"PYTHONPATH={root / 'src'}".encode() in variables and f"RANK={rank}".encode() in variables
        if mine and b"fovea.training.worker" in words:
            return int(process.name)
    sys.exit(f"no worker of rank {rank} was found")


if __name__ == "__main__":
    main()
