"""Which test pictures and layers the report shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.embedding_map import Embedded
from fovea.evaluation.gallery import Judged
from fovea.evaluation.grad_cam import Explained, grad_cam
from fovea.evaluation.infer import pictures
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


def every(most: int, count: int) -> int:
    """Every how manieth of `count` pictures is taken, so that at most `most` are, spread over all; `count` for 0."""
    return max(1, -(-count // max(1, most)))


def embedded(features: NDArray[np.float32], count: int, config: EvaluateConfig) -> Embedded | None:
    """The pictures that are on the map; None if none is to be drawn.

    Args:
        features: float32 [M, D], of all test pictures where `evaluate.embeddings` is set, else of those on the map.
        count: Test pictures.
        config: The section `evaluate`.
    """
    if not config.embedding_map:
        return None
    step = every(config.embedding_map, count)
    shown = features[::step] if config.embeddings else features
    return Embedded(shown, np.arange(0, count, step), config.map_method)


def explained_pictures(
    network: nn.Module, outcome: Outcome, split: Split, view: Augmenter, most: int
) -> Explained | None:
    """Pictures as the network sees them, and what in them speaks for its prediction; None if there is nothing to show.

    Args:
        network: In eval mode.
        outcome: Of the split.
        split: The pictures.
        view: How the network sees them.
        most: How many that are classified rightly, of different classes, and how many of the surest mistakes.
    """
    rows = np.concatenate([outcome.right(most), outcome.wrong(most)])
    if not len(rows):
        return None
    images = np.concatenate([pictures(split, view, row, 1) for row in rows.tolist()])
    cam = grad_cam(network, images, outcome.predicted[rows])
    if cam is None:
        return None
    said = judged(outcome, split, rows)
    return Explained([replace(one, image=image) for one, image in zip(said, images, strict=True)], cam)
