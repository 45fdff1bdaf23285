"""What evaluation costs over classifying the test pictures, and how long the report takes.

Claims: the numbers, their intervals and the predictions add at most 25 % to plain inference over the 10,000 test
pictures of MNIST; the whole command, which makes their report, takes at most 20 seconds.

    python benchmarks/evaluate.py [EXPERIMENT...]      default: lenet5 mnist_fast

`processor` seconds are those of this process alone, which other work on the machine changes less than the clock.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common import BIN, environment, keep, project_copy, timed

_TIMES = 5  # of which the fastest counts


def _fastest(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    found = []
    for _ in range(_TIMES):
        clock, used = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - clock, time.process_time() - used))
    return min(one for one, _ in found), min(other for _, other in found)


def _numbers(root: Path) -> dict[str, float]:
    """Inference alone against what is counted out of it, in this process."""
    from fovea.evaluation.infer import logits
    from fovea.evaluation.metrics import softmax
    from fovea.evaluation.outcome import Outcome, headline, predictions_table
    from fovea.evaluation.temperature import fit_temperature
    from fovea.evaluation.view import view_of
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel

    model = TrainedModel.open(root / "data/06_models/model")
    prepared = PreparedData.open(root / "data/05_model_input/prepared")
    network, test, view = model.network(), prepared.split("test"), view_of(model)
    said = logits(network, test, view, 500)

    def count() -> None:
        outcome = Outcome(prepared.meta.classes, test.labels, softmax(said))
        headline(outcome, 0.95)
        fit_temperature(said, test.labels)
        predictions_table(outcome, test.ids)

    clock, used = _fastest(lambda: logits(network, test, view, 500))
    more_clock, more_used = _fastest(count)
    return {
        "pictures": len(test),
        "inference_seconds": round(clock, 3),
        "numbers_seconds": round(more_clock, 3),
        "more_percent": round(100 * more_clock / clock, 1),
        "inference_processor": round(used, 3),
        "numbers_processor": round(more_used, 3),
    }


def main() -> None:
    """Trains each experiment for an epoch and takes the times."""
    rows = []
    for experiment in sys.argv[1:] or ["lenet5", "mnist_fast"]:
        words = [f"experiment={experiment}", "data=mnist", "trainer.max_epochs=1"]
        with project_copy() as root:
            env = environment(PYTHONPATH=str(root / "src"))
            kedro = [str(BIN / "kedro"), "run"]
            timed([*kedro, "--pipelines=ingest,prepare,train", *words], root, env)
            whole = timed([*kedro, "--pipelines=evaluate", *words], root, env)
            os.environ["FOVEA_ROOT"] = str(root)
            rows.append({"experiment": experiment, **_numbers(root), "command_seconds": round(whole.seconds, 1)})
    keep("evaluate", rows)


if __name__ == "__main__":
    main()
