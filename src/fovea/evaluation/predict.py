"""What a trained model says about the pictures in a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError, UserError
from fovea.evaluation.infer import batch_logits
from fovea.evaluation.metrics import softmax
from fovea.evaluation.pictures import Unreadable, picture_files, read_picture, shown_path
from fovea.evaluation.view import view_of

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.training import TrainedModel

Picture = NDArray[np.uint8]

log = logging.getLogger("fovea")

COLUMNS = ("path", "predicted", "probability", "status", "reason")
_HOW = "say which pictures with `kedro run --pipelines=predict predict.source=<folder>`"


def predict_folder(model: TrainedModel, source: str | None, batch_size: int) -> pd.DataFrame:
    """A row for every picture below a folder, in the order of their paths.

    Args:
        model: Its class names, channels and picture size are those of the data that it was trained on.
        source: The folder, relative to the working directory; null is refused.
        batch_size: Pictures decoded and classified at a time.

    Returns:
        Columns path (relative to the folder), predicted, probability (of the prediction), status (`ok` or `unreadable`)
        and reason (why it is unreadable).

    Raises:
        UserError: No folder was named, or it holds no picture.
    """
    import pandas as pd

    if not source:
        raise UserError(f"predict.source is not set; {_HOW}")
    folder = Path(source).expanduser()
    paths = picture_files(folder)
    network, view, data = model.network(), view_of(model), model.facts["data"]
    rows: list[dict[str, Any]] = []
    for start in range(0, len(paths), batch_size):
        part = paths[start : start + batch_size]
        rows += _rows(network, folder, part, [_read(path, data["channels"], view) for path in part], data["classes"])
    unreadable = sum(row["status"] != "ok" for row in rows)
    log.log(
        logging.WARNING if unreadable else logging.INFO, "predict: %d pictures, %d unreadable", len(rows), unreadable
    )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(
    network: nn.Module, folder: Path, paths: Sequence[Path], found: Sequence[Picture | Unreadable], classes: list[str]
) -> Iterator[dict[str, Any]]:
    images = [image for image in found if not isinstance(image, Unreadable)]
    answers = iter(softmax(batch_logits(network, np.stack(images))) if images else np.empty((0, 0)))
    for path, image in zip(paths, found, strict=True):
        row = dict.fromkeys(COLUMNS) | {"path": shown_path(path.relative_to(folder))}
        if isinstance(image, Unreadable):
            yield row | {"status": "unreadable", "reason": str(image)}
        else:
            probabilities = next(answers)
            best = int(probabilities.argmax())
            yield row | {"predicted": classes[best], "probability": float(probabilities[best]), "status": "ok"}


def _read(path: Path, channels: int, view: Augmenter) -> Picture | Unreadable:
    try:
        return view(read_picture(path, channels))
    except Unreadable as error:
        return error
    except RunError as error:
        return Unreadable(str(error))
