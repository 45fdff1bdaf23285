"""Which test pictures and layers the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fovea.evaluation.gallery import Judged
from fovea.evaluation.insides import activation_maps, first_kernels, samples
from fovea.evaluation.metrics import Ints
from fovea.evaluation.mosaics import Mosaic, kernels_mosaic, maps_mosaic

if TYPE_CHECKING:
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.config.schema import EvaluateConfig
    from fovea.evaluation.outcome import Outcome
    from fovea.shards import Split

_PICTURED = 2  # test pictures, of different classes, whose activation maps are drawn
_SHOWN = 128  # pixels that the short side of a large picture must keep to be shown small


def insides(network: nn.Module, test: Split, view: Augmenter, config: EvaluateConfig) -> list[Mosaic]:
    """The first kernels, and activation maps of some test pictures; nothing of a network without convolutions.

    Raises:
        UserError: A name in `evaluate.activations` is no layer.
    """
    kernels = first_kernels(network)
    found = [] if kernels is None else [kernels_mosaic(kernels)]
    if config.maps:
        images = samples(test, view, _PICTURED)
        found += [maps_mosaic(one, images, config.maps) for one in activation_maps(network, images, config.activations)]
    return found


def judged(outcome: Outcome, split: Split, rows: Ints) -> list[Judged]:
    """Some pictures, whole, as the network does not always see them, and what it said.

    Args:
        outcome: Of the split.
        split: The pictures.
        rows: Which, int64 [M].
    """
    return [
        Judged(
            image=split.image(row, least_side=_SHOWN),
            actual=outcome.classes[outcome.labels[row]],
            predicted=outcome.classes[outcome.predicted[row]],
            probability=float(outcome.probabilities[row, outcome.predicted[row]]),
        )
        for row in rows.tolist()
    ]
