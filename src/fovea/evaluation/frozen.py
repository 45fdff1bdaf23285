"""Logits out of the features that a model's head was trained on, so that no picture goes through its body twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.infer import logits
from fovea.evaluation.view import view_of

if TYPE_CHECKING:
    from torch import nn

    from fovea.datasets.samples import SplitName
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel, TrainJob


def split_logits(
    model: TrainedModel, network: nn.Module, prepared: PreparedData, split: SplitName, batch_size: int
) -> NDArray[np.float32]:
    """Logits float32 [N, K] of a split: from kept features where the model's head was trained on such.

    The features are those of the tensors in `network`, whatever the model's note says of them; what is missing is
    computed and kept. They differ from `infer.logits` by rounding alone.

    Args:
        model: The model.
        network: Its network, in evaluation mode.
        prepared: The data, of which the pictures may differ from those of training.
        split: train, val or test.
        batch_size: Of pictures, where there are no features.

    Raises:
        RunError: A picture cannot be decoded, or features cannot be kept.
    """
    pictures = prepared.split(split)
    job = _job(model)
    if job is None or not len(pictures):
        return logits(network, pictures, view_of(model), batch_size)
    import torch

    from fovea.models import anatomy
    from fovea.models.normalize import NormalizedNet
    from fovea.training.features import Looks, table_of

    # Not inference_mode: the network is laid out anew within, and Grad-CAM asks it for gradients afterwards.
    with torch.no_grad(), anatomy.body(cast(NormalizedNet, network).net) as head:
        table = table_of(network, job.model.name, prepared, split, Looks(job.data, job.augment, job.loader))
        answer: NDArray[np.float32] = head(torch.from_numpy(np.array(table.features[0]))).numpy()
    return answer


def _job(model: TrainedModel) -> TrainJob | None:
    """What the model was trained by, where that was a head on kept features."""
    from fovea.training.finetune import keeps_features
    from fovea.training.job import TrainJob

    if model.facts.get("config", {}).get("finetune", {}).get("mode") != "head":
        return None
    job = TrainJob.parse(model.facts["config"])
    return job if keeps_features(job) else None
