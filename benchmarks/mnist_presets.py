"""The presets that train one network on the full MNIST. Claim: `mnist_best`, at least 99.65 % of the test digits.

    python benchmarks/mnist_presets.py [PRESET...]      default: lenet5 tf_mnist mnist_best

One thread, one training after the other. `mnist_fast` and `mnist_deep` have scripts of their own.
"""

from __future__ import annotations

import json
import sys

from common import BIN, environment, keep, processor_seconds, project_copy, timed


def _train(preset: str) -> dict[str, object]:
    command = [str(BIN / "kedro"), "run", f"experiment={preset}", "trainer.threads=1"]
    with project_copy() as root:
        before = processor_seconds()
        run = timed(command, root, environment(OMP_NUM_THREADS="1", PYTHONPATH=str(root / "src")))
        reports = root / "data/08_reporting"
        metrics = json.loads((reports / "metrics.json").read_text())
        layers = json.loads((root / "data/06_models/model/model.json").read_text())["layers"]
    return {
        "preset": preset,
        "parameters": sum(layer["parameters"] for layer in layers),
        "test/acc": metrics["test/acc"],
        "val/acc": round(metrics["val/acc"], 4),
        "minutes, one thread": round(run.seconds / 60, 1),
        "processor minutes": round((processor_seconds() - before) / 60, 1),
    }


def main() -> None:
    """Trains each preset once, with its own seed."""
    keep("mnist_presets", [_train(preset) for preset in sys.argv[1:] or ["lenet5", "tf_mnist", "mnist_best"]])


if __name__ == "__main__":
    main()
