"""Images per second of training ResNet-18 at 64 pixels through the project over a bare loop. Claim: at least 0.95.

The project's side is `kedro run` on photographs: decoding, augmentation, Lightning, metrics, checkpoints, MLflow. The
bare side trains the same network on batches that lie ready in memory: synthetic ones, of the same size and type.

    python benchmarks/resnet_throughput.py [PRECISION...]      default: 32 bf16
"""

from __future__ import annotations

import re
import statistics
import sys
import time

from common import BIN, PROJECT, environment, keep, project_copy, timed
from samples import IMAGENETTE

_REPEATS = 4
_EPOCHS = 3
_BATCH = 64
_BATCHES = 20


def main() -> None:
    """Alternates the two sides in fresh processes."""
    rows: list[dict[str, object]] = []
    for precision in sys.argv[1:] or ["32", "bf16"]:
        rates: dict[str, list[float]] = {"project": [], "bare": []}
        with project_copy() as root:
            for seed in range(_REPEATS):
                words = ["experiment=imagenette", *IMAGENETTE, f"trainer.max_epochs={_EPOCHS}", f"seed={seed}"]
                command = [str(BIN / "kedro"), "run", *words, f"trainer.precision={precision}"]
                run = timed(command, root, environment(PYTHONPATH=str(root / "src")))
                shown = re.findall(r"([\d,]+) images/s", run.output)
                rates["project"].append(max(float(one.replace(",", "")) for one in shown[-(_EPOCHS - 1) :]))
                bare = timed([sys.executable, __file__, "bare", precision], PROJECT, environment())
                rates["bare"].append(float(bare.output.strip().splitlines()[-1]))
        project, bare_rate = statistics.median(rates["project"]), statistics.median(rates["bare"])
        rows.append(
            {
                "precision": precision,
                "project images/s": round(project),
                "bare images/s": round(bare_rate),
                "ratio": round(project / bare_rate, 3),
            }
        )
    keep("resnet_throughput", rows)


def _bare_rate(precision: str) -> float:
    """The best of some epochs, as on the other side."""
    import torch
    from torch.nn.functional import cross_entropy

    from fovea.config.compose import compose
    from fovea.config.schema import ModelConfig, parse
    from fovea.models.registry import create

    model = parse(ModelConfig, compose(PROJECT / "conf", ["experiment=imagenette"]).config["model"], "model")
    network = create(model, channels=3, num_classes=10, image_size=64).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.randn(_BATCH, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (_BATCH,))
    rates = []
    for _ in range(_EPOCHS):
        start = time.perf_counter()
        for _ in range(_BATCHES):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                loss = cross_entropy(network(images), labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rates.append(_BATCH * _BATCHES / (time.perf_counter() - start))
    return max(rates)


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        print(_bare_rate(sys.argv[2]))
    else:
        main()
