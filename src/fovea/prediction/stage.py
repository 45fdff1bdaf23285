"""The predict stage: pictures from anywhere and a model in; a table and a page out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fovea.core.errors import UserError
from fovea.evaluation.calibrated import temperature_of
from fovea.evaluation.metrics import wilson
from fovea.evaluation.summary import interval_words
from fovea.prediction.classify import Predictions, classify
from fovea.prediction.forms import of_trained
from fovea.prediction.named import open_named
from fovea.prediction.page import PredictionPage, write_page
from fovea.prediction.pictures import Unreadable, decoded
from fovea.prediction.predictor import Predictor
from fovea.prediction.source import Source
from fovea.prediction.sources import find_source

if TYPE_CHECKING:
    import pandas as pd

    from fovea.config.schema import PredictConfig
    from fovea.inspection.thumbnails import Thumbnail
    from fovea.training import TrainedModel

log = logging.getLogger("fovea")

_CONFIDENCE = 0.95


def predict(model: TrainedModel | None, config: PredictConfig) -> tuple[pd.DataFrame, PredictionPage]:
    """Classifies the pictures of `predict.source`.

    Args:
        model: The one to take where `predict.model` names none.
        config: The section `predict`.

    Returns:
        A row a picture, those that cannot be read with the reason (see `Predictions.table`), and the page.

    Raises:
        UserError: Source or model are not there, or cannot be used; nothing was started.
        RunError: The model gives no numbers, or the disk is full.
    """
    source = find_source(config.source)
    predictor = _predictor(model, config)
    predictor.check()
    temperature, origin = _temperature(predictor, config)
    log.info("predict: %s pictures of %s by %s, %s", f"{len(source):,}", source.words, predictor.words, origin)
    found = classify(predictor, source, temperature=temperature, top_k=config.top_k, batch_size=config.batch_size)
    said = list(_sentences(found))
    log.log(logging.WARNING if found.reasons else logging.INFO, "predict: %s", said[0])
    for sentence in said[1:]:
        log.info("predict: %s", sentence)
    run = f"MLflow run {predictor.run_id or 'not known'}"
    words = [*reversed(said), f"Model {predictor.words}, {run}; {origin}."]
    page = write_page(found, source.words, words, config.gallery, lambda row: _thumbnail(predictor, source, row))
    return found.table(), page


def _predictor(model: TrainedModel | None, config: PredictConfig) -> Predictor:
    if config.model is not None:
        return open_named(config.model)
    if model is None:
        raise UserError("predict.model is null and there is no trained model; train one with `kedro run`, or name one")
    return of_trained(model)


def _temperature(predictor: Predictor, config: PredictConfig) -> tuple[float, str]:
    """By what logits are divided, and that in words."""
    if config.temperature != "auto":
        return config.temperature, f"probabilities at temperature {config.temperature:g}, as predict.temperature says"
    found = predictor.temperature if predictor.temperature is not None else temperature_of(predictor.run_id)
    if found is None:
        return 1.0, "probabilities as the network gives them, for no temperature is known of its run"
    return found, f"probabilities at temperature {found:.4g}, which its run fitted on validation pictures"


def _sentences(found: Predictions) -> Iterator[str]:
    """What came out, in one to three sentences."""
    count, unreadable = len(found.names), len(found.reasons)
    yield f"{count:,} picture{'' if count == 1 else 's'}, {unreadable:,} unreadable"
    if found.labels is None:
        return
    judged, wrong = len(found.judged()), len(found.wrong())
    labelled = sum(found.label(place) is not None for place in range(len(found.rows)))
    if labelled > judged:
        known = ", ".join(found.classes[:10])
        yield f"{labelled - judged:,} labels are no class of the model ({known}) and do not count"
    if judged:
        interval = interval_words(*wilson(judged - wrong, judged, _CONFIDENCE), _CONFIDENCE)
        yield f"accuracy {100 * (judged - wrong) / judged:.2f} % ({interval}, {judged:,} labelled pictures)"


def _thumbnail(predictor: Predictor, source: Source, row: int) -> Thumbnail | None:
    """The whole picture, in the colours that the network sees."""
    from fovea.inspection.thumbnails import thumbnail

    try:
        return thumbnail(decoded(source.read(row), predictor.channels))
    except Unreadable:
        return None
