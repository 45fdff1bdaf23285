"""MNIST to 99 %: `kedro run experiment=mnist_fast` against the plain PyTorch example, whole processes.

Claim: at most 1/6 of the peer's wall time. Both start with the four packed files at hand and nothing prepared.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from common import BIN, environment, keep, mirror, project_copy, timed


def main() -> None:
    """Measures both, one after the other."""
    rows: list[dict[str, object]] = []
    with project_copy() as root:
        for state in ("nothing prepared", "data prepared"):
            for seed in range(3):
                ours = timed([str(BIN / "kedro"), "run", "experiment=mnist_fast", f"seed={seed}"], root)
                accuracy = json.loads((root / "data/08_reporting/metrics.json").read_text())["test/acc"]
                rows.append(
                    {"who": f"fovea seed {seed}, {state}", "seconds": round(ours.seconds, 1), "test/acc": accuracy}
                )
                if state == "nothing prepared":
                    break
    example = Path(__file__).parent / "peers" / "mnist_example.py"
    peer = timed([sys.executable, str(example), str(mirror() / "mnist")], Path.cwd(), environment())
    reached = re.search(r"reached ([\d.]+) after (\d+) epochs", peer.output)
    assert reached is not None, peer.output
    rows.append(
        {
            "who": f"plain PyTorch example, {reached[2]} epochs",
            "seconds": round(peer.seconds, 1),
            "test/acc": float(reached[1]),
        }
    )
    keep("mnist_fast", [{**row, "part of peer": round(float(str(row["seconds"])) / peer.seconds, 3)} for row in rows])


if __name__ == "__main__":
    main()
