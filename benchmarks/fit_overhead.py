"""Images per second of training through the project over a bare PyTorch loop, same batches, same network.

The project's side is Lightning with the metrics, callbacks, checkpoints and MLflow of a real run; the bare side is the
shortest loop that trains the same network on the same rows. Claim: at least 0.85.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from common import PROJECT, environment, keep, timed

_REPEATS = 3
_EPOCHS = 2
_PRESETS = ("mnist_fast", "mnist_deep")


def main() -> None:
    """Alternates the two sides in fresh processes."""
    rows: list[dict[str, object]] = []
    for preset in _PRESETS:
        rates: dict[str, list[float]] = {"project": [], "bare": []}
        for _ in range(_REPEATS):
            for side, measured in rates.items():
                measured.append(_rate(side, preset))
        project, bare = statistics.median(rates["project"]), statistics.median(rates["bare"])
        rows.append(
            {
                "preset": preset,
                "project images/s": round(project),
                "bare images/s": round(bare),
                "ratio": round(project / bare, 3),
            }
        )
    keep("fit_overhead", rows)


def _rate(side: str, preset: str) -> float:
    import sys

    run = timed([sys.executable, __file__, side, preset], PROJECT, environment())
    return float(run.output.strip().splitlines()[-1])


def _measure(side: str, preset: str) -> float:
    from fovea.config.compose import compose
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare
    from fovea.pipelines.train.nodes import SECTIONS
    from fovea.training.job import TrainJob

    overrides = [f"experiment={preset}", "augment=none", f"trainer.max_epochs={_EPOCHS}", "callbacks.progress=none"]
    config = compose(PROJECT / "conf", overrides).config
    prepared = prepare(ingest(config["data"]), config["data"], config["prepare"])
    job = TrainJob.parse({section: config[section] for section in SECTIONS})
    with tempfile.TemporaryDirectory() as folder:
        return _project_rate(job, prepared, Path(folder)) if side == "project" else _bare_rate(job, prepared)


def _project_rate(job: object, prepared: object, folder: Path) -> float:
    from fovea import tracking
    from fovea.training.fit import fit

    tracking.configure({"experiment": "bench", "uri": f"sqlite:///{folder}/mlflow.db", "on_error": "stop"})
    with tracking.stage("train", record=folder / "run.json", run_name="bench", params={}) as run:
        rates: list[float] = []
        log = run.log_metrics

        def remember(metrics: dict[str, float], step: int | None = None) -> None:
            rates.append(metrics["throughput/images_per_second"])
            log(metrics, step=step)

        run.log_metrics = remember  # type: ignore[method-assign]
        fit(job, prepared, folder, run)  # type: ignore[arg-type]
    return rates[-1]


def _bare_rate(job: object, prepared: object) -> float:
    import torch
    from torch.nn.functional import cross_entropy

    from fovea.training.network import build_network

    split = prepared.split("train")  # type: ignore[attr-defined]
    images = torch.from_numpy(split.images().reshape(-1, 1, 28, 28).copy())
    labels = torch.from_numpy(split.labels.copy())
    network = build_network(job.model, job.data).to(memory_format=torch.channels_last)  # type: ignore[attr-defined]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    size = job.loader.batch_size  # type: ignore[attr-defined]
    batches = len(labels) // size
    for _ in range(_EPOCHS):
        order = torch.randperm(len(labels))
        start = time.perf_counter()
        for batch in range(batches):
            rows = order[batch * size : (batch + 1) * size]
            loss = cross_entropy(network(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - start
    return batches * size / seconds


if __name__ == "__main__":
    import sys

    if len(sys.argv) == 3:
        print(_measure(sys.argv[1], sys.argv[2]))
    else:
        main()
