"""Small networks on MNIST that vote. Claim: five get at least 99.75 % of the test digits, by soft or hard voting.

    python benchmarks/mnist_ensemble.py                 trains five, seeds 0 to 4
    python benchmarks/mnist_ensemble.py FOLDER...       takes models that `kedro run experiment=mnist_small` has left

One thread, one training after the other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from common import BIN, environment, keep, processor_seconds, project_copy, timed


def main() -> None:
    """Makes the ensemble; keeps a row a member, and one for each kind of voting."""
    folders = [str(Path(word).resolve()) for word in sys.argv[1:]]
    members = [f"ensemble.members=[{','.join(folders)}]"] if folders else ["ensemble.seeds=[0,1,2,3,4]"]
    command = [str(BIN / "kedro"), "run", "--pipelines=ensemble", "experiment=mnist_small", "trainer.threads=1"]
    with project_copy() as root:
        before = processor_seconds()
        run = timed([*command, *members], root, environment(OMP_NUM_THREADS="1", PYTHONPATH=str(root / "src")))
        numbers = json.loads((root / "data/08_reporting/ensemble.json").read_text())
    rows: list[dict[str, object]] = [
        {"who": f"member, seed {row['seed']}"}
        | {key: row[key] for key in ("parameters", "test/acc")}
        | {"val/acc": round(row["val/acc"], 4)}
        for row in numbers["members"]
    ]
    whole = {"parameters": numbers["parameters"]}
    if not folders:
        whole |= {
            "minutes, one thread": round(run.seconds / 60, 1),
            "processor minutes": round((processor_seconds() - before) / 60, 1),
        }
    for who, key in (("soft voting", "acc"), ("hard voting", "acc_hard")):
        rows.append(
            {"who": who, "test/acc": numbers[f"test/{key}"], "val/acc": round(numbers[f"val/{key}"], 4)} | whole
        )
    keep("mnist_ensemble", rows)


if __name__ == "__main__":
    main()
