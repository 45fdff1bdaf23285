"""bfloat16 against 32-bit numbers on the processor. Claim: test accuracy within 0.2 points, mean of two seeds.

    python benchmarks/precision.py [EXPERIMENT...]      default: mnist_fast transfer

The trainings take turns, so that both kinds meet the same machine. `images/s` is that of the last epoch.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from common import BIN, environment, keep, project_copy, timed
from samples import CATS

_SEEDS = (0, 1)
# Without the cache the whole network is computed in the precision, and not its head alone.
_MORE = {"transfer": [*CATS, "finetune.cache_features=false", "trainer.max_epochs=3"]}
_PRECISIONS = ("32", "bf16")
_NUMBERS = ("test/acc", "images/s", "seconds")


def _train(root: Path, experiment: str, precision: str, seed: int) -> dict[str, object]:
    words = [f"experiment={experiment}", *_MORE.get(experiment, []), f"trainer.precision={precision}", f"seed={seed}"]
    run = timed([str(BIN / "kedro"), "run", *words], root, environment(PYTHONPATH=str(root / "src")))
    metrics = json.loads((root / "data/08_reporting/metrics.json").read_text())
    epochs = [line for line in run.output.splitlines() if line.rstrip().endswith("images/s")]
    return {
        "experiment": experiment,
        "precision": precision,
        "seed": seed,
        "test/acc": metrics["test/acc"],
        "images/s": int(epochs[-1].split()[-2].replace(",", "")) if epochs else "",
        "seconds": round(run.seconds, 1),
    }


def _means(experiment: str, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """A row a precision with the means over the seeds, and one with what bfloat16 has more."""
    found: list[dict[str, object]] = []
    for precision in _PRECISIONS:
        mine = [row for row in rows if row["precision"] == precision]
        means = {key: statistics.mean(float(str(row[key])) for row in mine) for key in _NUMBERS if mine[0][key] != ""}
        found.append({"experiment": experiment, "precision": precision, "seed": "mean"} | _rounded(means))
    plain, half = found
    more = {"test/acc": float(str(half["test/acc"])) - float(str(plain["test/acc"]))}
    more |= {f"{key}, times": float(str(half[key])) / float(str(plain[key])) for key in _NUMBERS[1:] if key in plain}
    return [*found, {"experiment": experiment, "precision": "bf16 against 32", "seed": "mean"} | _rounded(more)]


def _rounded(numbers: dict[str, float]) -> dict[str, object]:
    return {key: round(value, 5 if key == "test/acc" else 2) for key, value in numbers.items()}


def main() -> None:
    """Trains each experiment with both precisions and two seeds."""
    rows: list[dict[str, object]] = []
    with project_copy() as root:
        for experiment in sys.argv[1:] or ["mnist_fast", "transfer"]:
            runs = [_train(root, experiment, precision, seed) for seed in _SEEDS for precision in _PRECISIONS]
            rows += [*runs, *_means(experiment, runs)]
    keep("precision", rows)


if __name__ == "__main__":
    main()
