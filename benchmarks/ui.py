"""How long MLflow's UI takes to open, with 200 runs in the project and with 10 (the peer).

The runs are made through the project's own tracking, with the parameters of the default configuration and curves by
formula: nothing is trained. Chromium opens, each time in a new window that knows nothing yet, the table of runs with
the columns of the saved view, the chart view, and, from the table by ticking them, MLflow's comparison of ten runs.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common import PROJECT, keep, project_copy

sys.path.insert(0, str(PROJECT / "scripts"))

from browser import chromium, window
from fovea import tracking
from fovea.tracking.server import HOST, choose_port, serving
from fovea.tracking.store import open_store
from mlflow_pages import MlflowPages

_EPOCHS = 20
_COMPARED = 10


def _config(root: Path) -> dict[str, object]:
    from fovea.config.loader import HydraConfigLoader
    from fovea.settings import CONFIG_LOADER_ARGS

    return dict(HydraConfigLoader(root / "conf", None, {}, **CONFIG_LOADER_ARGS)["parameters"])


def fill(root: Path, count: int) -> tuple[str, str]:
    """Makes runs; gives the store's URI and the experiment's id."""
    config = _config(root)
    uri = f"sqlite:///{root}/mlflow.db"
    for number in range(count):
        draw = random.Random(number)
        lr = round(10 ** draw.uniform(-4, -1), 5)
        changed = {**config, "seed": number, "optimizer": {**config["optimizer"], "lr": lr}}
        facts = tracking.RunFacts(changed, {"model": "lenet5"}, [f"seed={number}", f"optimizer.lr={lr}"], "kedro run")
        tracking.configure({"uri": uri, "experiment": "fovea"}, facts)
        with tracking.stage("train", root / f"runs/{number}.json", f"lenet5-digits-{number:08x}") as run:
            _log(run, draw)
    return uri, open_store(uri, "fovea").experiment_id


def _log(run: tracking.Run, draw: random.Random) -> None:
    """The curves of a training that comes near to 0.99."""
    pace = draw.uniform(0.2, 0.8)
    for epoch in range(1, _EPOCHS + 1):
        acc = 0.99 - 0.8 * math.exp(-pace * epoch) + draw.gauss(0, 0.003)
        values = {"train/loss": 2.3 * math.exp(-pace * epoch), "train/acc": acc - 0.01, "val/loss": 1 - acc}
        run.log_metrics({**values, "val/acc": acc, "lr": 1e-3, "throughput/images_per_second": 3000.0}, step=epoch)
    test = {f"test/{name}{end}": acc for name in ("acc", "loss", "macro_f1", "auroc") for end in ("", "_low", "_high")}
    run.log_metrics({**test, "test/ece": 0.01, "time/fit_seconds": 20.0})
    run.log_dataset("digits", "0123456789ab", "training")


def seconds(visit: Callable[[MlflowPages], object], base: str, experiment_id: str, repeats: int) -> float:
    """The median time until a page shows what it is opened for."""
    times = []
    with chromium() as browser:
        for _ in range(repeats):
            with window(browser, 1600, 1000) as one:
                pages = MlflowPages(one, base, experiment_id)
                start = time.perf_counter()
                visit(pages)
                times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare_ten(pages: MlflowPages) -> None:
    """Opens the table, ticks its first ten runs and compares them."""
    pages.table()
    pages.compare(pages.names()[:_COMPARED])


def measure(count: int, repeats: int) -> dict[str, object]:
    """Opens the pages over a project of `count` runs."""
    with project_copy() as root:
        os.environ["FOVEA_ROOT"] = str(root)
        uri, experiment_id = fill(root, count)
        port = choose_port(None)
        with serving(uri, port):
            base = f"http://{HOST}:{port}"
            visits: dict[str, Callable[[MlflowPages], object]] = {
                "table": MlflowPages.table,
                "charts": MlflowPages.charts,
                "comparison": compare_ten,
            }
            seconds(MlflowPages.table, base, experiment_id, 1)  # the server reads its own files once
            found = {name: round(seconds(visit, base, experiment_id, repeats), 2) for name, visit in visits.items()}
    return {"runs": count, "compared": _COMPARED, "repeats": repeats, **{f"{k}_s": v for k, v in found.items()}}


def main() -> None:
    """Measures both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    keep("ui", [measure(count, options.repeats) for count in (10, 200)])


if __name__ == "__main__":
    main()
