"""How long a trained network takes for one picture on this machine's CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from fovea.tracking.finding import fetch_model
from fovea.training.result import TrainedModel

_WARM, _TIMED = 5, 50


def latencies(run_ids: Sequence[str], cache: Path) -> list[float]:
    """Median seconds from a uint8 picture of a model's size to its logits, in eager PyTorch on one thread.

    The models take turns, picture by picture, so that whatever else the machine does meets all of them alike.

    Args:
        run_ids: Of the models' runs.
        cache: Keeps what was fetched, a folder a run.

    Raises:
        UserError: A run holds no model.
        RunError: A model is damaged, or MLflow is out of reach.
    """
    import torch

    models = [TrainedModel.open(fetch_model(run_id, cache).path) for run_id in run_ids]
    networks = [model.network() for model in models]
    shapes = [(1, data["channels"], *[data["image_size"]] * 2) for data in (model.facts["data"] for model in models)]
    pictures = [torch.zeros(shape, dtype=torch.uint8) for shape in shapes]
    seconds: list[list[float]] = [[] for _ in models]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(_WARM + _TIMED):
                for network, picture, taken in zip(networks, pictures, seconds, strict=True):
                    start = time.perf_counter()
                    network(picture)
                    taken.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return [statistics.median(taken[_WARM:]) for taken in seconds]
