"""Augmented MNIST batches over what the training step consumes. Claim: the loader alone at least 3 x as fast.

    python benchmarks/mnist_loader.py [MODEL...]      default: deep_mnist lenet5

The step (forward, backward, optimiser) runs on batches that lie in memory, on two cores; the loader with
`augment=mnist` runs alone, in the process that asks and with two workers.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

from common import PROJECT, environment, keep, timed

_ROUNDS = 2
_STEPS = 60
_BATCHES = 300


def main() -> None:
    """Measures each model's step and the loader in turn, in fresh processes."""
    rows: list[dict[str, object]] = []
    for model in sys.argv[1:] or ["deep_mnist", "lenet5"]:
        found: dict[str, float] = {}
        for _, what in itertools.product(range(_ROUNDS), ("step", "0", "2")):
            env = environment(OMP_NUM_THREADS="2" if what == "step" else "1")
            run = timed([sys.executable, __file__, "--measure", what, model], PROJECT, env)
            found[what] = max(found.get(what, 0.0), float(run.output.strip().splitlines()[-1]))
        row: dict[str, object] = {"model": model, "step images/s": round(found["step"])}
        for what, name in (("0", "no workers"), ("2", "two workers")):
            row[f"loader images/s, {name}"] = round(found[what])
            row[f"over step, {name}"] = round(found[what] / found["step"], 2)
        rows.append(row)
    keep("mnist_loader", rows)


def _measure(what: str, model: str) -> float:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    import torch

    from fovea.config.compose import compose
    from fovea.loading import PictureDataModule
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare
    from fovea.pipelines.train.nodes import SECTIONS
    from fovea.training.job import TrainJob

    workers = 0 if what == "step" else int(what)
    overrides = ["data=mnist", "augment=mnist", f"model={model}", f"loader.num_workers={workers}"]
    config = compose(PROJECT / "conf", overrides).config
    job = TrainJob.parse({section: config[section] for section in SECTIONS})
    prepared = prepare(ingest(config["data"]), config["data"], config["prepare"])
    data = PictureDataModule(prepared, data=job.data, loader=job.loader, augment=job.augment, seed=0)
    loader = data.train_dataloader()
    if what == "step":
        torch.set_num_threads(2)
        return _steps(job, list(itertools.islice(loader, _STEPS)))
    batches = iter(loader)
    for _ in range(20):
        next(batches)
    start = time.perf_counter()
    count = sum(len(batch.labels) for batch in itertools.islice(batches, _BATCHES))
    return count / (time.perf_counter() - start)


def _steps(job: object, batches: list[object]) -> float:
    from fovea.training.module import ClassifierModule
    from fovea.training.network import build_network
    from fovea.training.optimizers import build_optimizer
    from fovea.training.schedules import Steps

    module = ClassifierModule(
        build_network(job.model, job.data),  # type: ignore[attr-defined]
        job.optimizer,  # type: ignore[attr-defined]
        job.schedule,  # type: ignore[attr-defined]
        Steps(per_epoch=len(batches), total=len(batches)),
        channels_last=job.trainer.channels_last,  # type: ignore[attr-defined]
    )
    optimizer = build_optimizer(module.net, job.optimizer)  # type: ignore[attr-defined]
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        for batch in batches:
            loss = module.training_step(batch, 0)  # type: ignore[arg-type]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        best = max(best, sum(len(batch.labels) for batch in batches) / (time.perf_counter() - start))  # type: ignore[attr-defined]
    return best


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(_measure(sys.argv[2], sys.argv[3]))
    else:
        main()
