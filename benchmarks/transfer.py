"""Transfer learning with features that are computed once, on the samples of the real photographs.

Claims: cats and dogs, 2,006 pictures, at least 99.0 % by 5-fold cross-validation; `kedro run experiment=transfer` in at
most 90 s from nothing and 20 s with the features in place; the same training of the head without the cache at least 5
times as long over 10 epochs; Imagenette, 1,500 training pictures, at least 97 % of the 500 validation ones.

    python benchmarks/transfer.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import BIN, environment, keep, project_copy, timed
from samples import CATS, IMAGENETTE

_EPOCHS = 10


def main() -> None:
    """Runs the preset in fresh copies of the project."""
    rows = [*_cats(), _imagenette()]
    keep("transfer", rows)


def _cats() -> list[dict[str, object]]:
    words = ["experiment=transfer", *CATS]
    with project_copy() as root:
        cold, warm = _run(root, *words), _run(root, *words, "seed=1")
        folds = _crossval(root, *words, "crossval.splits=[train,val,test]")
    with project_copy() as root:
        short = [*words, f"trainer.max_epochs={_EPOCHS}"]
        cached, again = _run(root, *short), _run(root, *short, "seed=1")
        without = _run(root, *short, "finetune.cache_features=false")
    return [
        {"what": "cats_vs_dogs, all cold", **cold},
        {"what": "cats_vs_dogs, features in place", **warm},
        {"what": "cats_vs_dogs, 5 folds, features in place", **folds},
        {"what": f"{_EPOCHS} epochs, cache cold", **cached},
        {"what": f"{_EPOCHS} epochs, cache warm", **again},
        {
            "what": f"{_EPOCHS} epochs, without the cache",
            **without,
            "fit over cold": round(without["fit seconds"] / cached["fit seconds"], 2),
            "fit over warm": round(without["fit seconds"] / again["fit seconds"], 2),
        },
    ]


def _imagenette() -> dict[str, object]:
    with project_copy() as root:
        return {"what": "imagenette, all cold", **_run(root, "experiment=imagenette_transfer", *IMAGENETTE)}


def _run(root: Path, *words: str) -> dict[str, Any]:
    run = timed([str(BIN / "kedro"), "run", *words], root, environment(PYTHONPATH=str(root / "src")))
    metrics = json.loads((root / "data/08_reporting/metrics.json").read_text())
    return {
        "pictures": metrics["test/count"],
        "acc": round(metrics["test/acc"], 4),
        "seconds": round(run.seconds, 1),
        "fit seconds": round(_fit_seconds(root), 2),
    }


def _crossval(root: Path, *words: str) -> dict[str, Any]:
    command = [str(BIN / "kedro"), "run", "--pipelines=crossval", *words]
    run = timed(command, root, environment(PYTHONPATH=str(root / "src")))
    summary = json.loads((root / "data/08_reporting/crossval.json").read_text())
    return {
        "pictures": summary["pooled/count"],
        "acc": round(summary["pooled/acc"], 4),
        "spread": round(summary["val/acc_std"], 4),
        "seconds": round(run.seconds, 1),
    }


def _fit_seconds(root: Path) -> float:
    """Of the newest run."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("fovea")
    assert experiment is not None
    newest = client.search_runs([experiment.experiment_id], max_results=1)[0]
    return float(newest.data.metrics["time/fit_seconds"])


if __name__ == "__main__":
    main()
