"""All numbers of a model: of the test and the validation pictures, and of what was done to the test pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.corruptions import robustness
from fovea.evaluation.embeddings import check_embeddings, listening
from fovea.evaluation.frozen import split_logits
from fovea.evaluation.metrics import Calibration, calibration, log_loss, softmax
from fovea.evaluation.outcome import Outcome, headline
from fovea.evaluation.showing import every
from fovea.evaluation.temperature import fit_temperature, scaled
from fovea.evaluation.tta import averaged
from fovea.evaluation.view import view_of

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from fovea.config.schema import EvaluateConfig
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured.

    Attributes:
        outcome: Of the test pictures.
        metrics: By name, as in `test/acc`.
        scaled: Calibration of the test pictures after temperature scaling; None where no temperature was fitted.
        features: What the last layer sees, float32 [M, D]: of all test pictures where `evaluate.embeddings` is set,
            else of those on the map; None of a network without such a layer.
        robustness: Accuracy by corruption and severity; None if not asked for.
    """

    outcome: Outcome
    metrics: dict[str, float]
    scaled: Calibration | None
    features: NDArray[np.float32] | None
    robustness: pd.DataFrame | None


def measure(prepared: PreparedData, model: TrainedModel, network: nn.Module, config: EvaluateConfig) -> Measured:
    """Classifies the test and the validation pictures, and counts.

    Raises:
        UserError: Embeddings are wanted of a network that has none.
        RunError: The model gives no numbers.
    """
    test, val, classes = prepared.split("test"), prepared.split("val"), prepared.meta.classes
    step = 1 if config.embeddings else every(config.embedding_map, len(test))
    if config.embeddings:
        check_embeddings(network)
    said_val = split_logits(model, network, prepared, "val", config.batch_size)
    with listening(network, step) as heard:
        said = split_logits(model, network, prepared, "test", config.batch_size)
    outcome = Outcome(classes, test.labels, softmax(said))
    temperature = fit_temperature(said_val, val.labels)
    calibrated = None if temperature is None else scaled(said, temperature)
    metrics = {
        **headline(outcome, config.confidence),
        **scaled_metrics(calibrated, test.labels, temperature),
        **val_metrics(said_val, val.labels, classes, config.confidence),
    }
    view = view_of(model)
    if config.tta:
        looked = averaged(network, test, view, config.tta, config.batch_size)
        metrics |= tta_metrics(Outcome(classes, test.labels, looked), config.confidence)
    worse = None
    if config.corruptions:
        worse = robustness(network, test, view, list(dict.fromkeys(config.corruptions)), config.batch_size)
        metrics["test/acc_corrupted"] = float(worse["acc"].mean())
    return Measured(
        outcome=outcome,
        metrics=metrics,
        scaled=None if calibrated is None else calibration(calibrated, test.labels),
        features=np.concatenate(heard) if heard else None,
        robustness=worse,
    )


def scaled_metrics(
    probabilities: NDArray[np.float64] | None, labels: NDArray[np.int64], temperature: float | None
) -> dict[str, float]:
    """The temperature and what it does to the test pictures; nothing where none could be fitted.

    Args:
        probabilities: Of the test pictures after scaling, float64 [N, K].
        labels: int64 [N].
        temperature: Of the validation pictures.
    """
    if probabilities is None or temperature is None:
        return {}
    return {
        "calibration/temperature": temperature,
        "test/ece_scaled": calibration(probabilities, labels).error,
        "test/loss_scaled": log_loss(probabilities, labels),
    }


def tta_metrics(outcome: Outcome, confidence: float) -> dict[str, float]:
    """Accuracy with its interval, and log loss, of averaged looks at the test pictures."""
    numbers = headline(outcome, confidence)
    kept = ("acc", "acc_low", "acc_high", "loss")
    return {f"test/tta_{name}": numbers[f"test/{name}"] for name in kept}


def val_metrics(
    said: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str], confidence: float
) -> dict[str, float]:
    """The headline numbers of the delivered weights, as `val/acc`, whatever the training looked at.

    Args:
        said: Logits float32 [N, K] of the validation pictures.
        labels: int64 [N]; without any there are no numbers.
        classes: K names.
        confidence: Coverage of the intervals.
    """
    if not len(labels):
        return {}
    numbers = headline(Outcome(classes, labels, softmax(said)), confidence)
    return {name.replace("test/", "val/"): value for name, value in numbers.items()}
