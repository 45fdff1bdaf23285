"""The textbook's deep 3x3 network on MNIST. Claim: at least 99.38 % of the 10,000 test digits, mean of three seeds.

    python benchmarks/mnist_deep.py [SEED...]      default: 0 1 2

One thread a training, as many trainings side by side as there are cores.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor

from common import BIN, environment, keep, project_copy, timed


def _train(seed: int) -> dict[str, object]:
    command = [str(BIN / "kedro"), "run", "experiment=mnist_deep", f"seed={seed}", "trainer.threads=1"]
    with project_copy() as root:
        run = timed(command, root, environment(OMP_NUM_THREADS="1", PYTHONPATH=str(root / "src")))
        metrics = json.loads((root / "data/08_reporting/metrics.json").read_text())
    return {
        "seed": seed,
        "test/acc": metrics["test/acc"],
        "val/acc": round(metrics["val/acc"], 4),
        "minutes, one thread": round(run.seconds / 60, 1),
    }


def main() -> None:
    """Trains the preset with each seed."""
    seeds = [int(word) for word in sys.argv[1:]] or [0, 1, 2]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(_train, seeds))
    mean = statistics.mean(float(str(row["test/acc"])) for row in rows)
    keep("mnist_deep", [*rows, {"seed": "mean", "test/acc": round(mean, 5)}])


if __name__ == "__main__":
    main()
