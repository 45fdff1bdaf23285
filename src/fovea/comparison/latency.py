"""How long a trained network takes for one picture on this machine's CPU."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from fovea.tracking.finding import fetch_model
from fovea.training.result import TrainedModel

_WARM, _TIMED = 5, 50


def latency(run_id: str, cache: Path) -> float:
    """Median seconds from a uint8 picture of the model's size to its logits, in eager PyTorch, one at a time.

    Args:
        run_id: Of the model's run.
        cache: Keeps what was fetched, a folder a run.

    Raises:
        UserError: The run holds no model.
        RunError: The model is damaged, or MLflow is out of reach.
    """
    import torch

    model = TrainedModel.open(fetch_model(run_id, cache).path)
    network, data = model.network(), model.facts["data"]
    picture = torch.zeros((1, data["channels"], data["image_size"], data["image_size"]), dtype=torch.uint8)
    seconds = []
    with torch.inference_mode():
        for _ in range(_WARM + _TIMED):
            start = time.perf_counter()
            network(picture)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[_WARM:])
