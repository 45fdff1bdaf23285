"""The model in MLflow's form: a table with a column `image` in, a table of classes and probabilities out."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import fovea
from fovea.pictures.reasons import WORDS
from fovea.serving.classifier import LIMITS, BadPicture, Classifier
from fovea.serving.guard import guard_server

if TYPE_CHECKING:
    import pandas as pd

COLUMN = "image"
MOST = 256
"""Pictures of one request."""


def _load_pyfunc(path: str) -> PyfuncModel:
    """What MLflow calls to load the model, after putting the code beside it first on `sys.path`."""
    _forget_code(Path(path).resolve().parents[1] / "code")
    return PyfuncModel(Classifier(Path(path)), served=guard_server())


class PyfuncModel:
    """What MLflow calls `predict` of.

    Args:
        classifier: Does the work.
        served: Whether strangers ask: texts are no paths then, for they are not to learn what files the server has.
    """

    def __init__(self, classifier: Classifier, *, served: bool) -> None:
        self._classifier = classifier
        self._served = served

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Classifies the pictures of a column `image`.

        Args:
            model_input: A table. A picture is the bytes of a file, an array (or nested lists) of whole numbers
                [H, W, C], or a text: base64 of a file, or a path where the model is not served.
            params: None are known.

        Returns:
            Columns predicted, probability (of the prediction), probabilities (by class).

        Raises:
            MlflowException: INVALID_PARAMETER_VALUE, 400 over HTTP: pictures cannot be classified, each is named.
        """
        import pandas as pd

        given = list(_pictures(model_input[COLUMN]))
        if not 1 <= len(given) <= MOST:
            _refuse(f"{len(given)} pictures; a request has 1 to {MOST}")
        images, wrong = [], []
        for number, one in enumerate(given, start=1):
            try:
                images.append(self._image(one))
            except BadPicture as error:
                wrong.append(f"picture {number} of {len(given)}: {error}")
        if wrong:
            _refuse("; ".join(wrong))
        classes, found = self._classifier.classes, self._classifier.probabilities(images)
        return pd.DataFrame(
            {
                "predicted": [classes[row] for row in found.argmax(axis=1)],
                "probability": found.max(axis=1),
                "probabilities": [dict(zip(classes, row, strict=True)) for row in found.tolist()],
            }
        )

    def _image(self, one: Any) -> NDArray[np.uint8]:
        if isinstance(one, str):
            return self._classifier.encoded(self._file(one))
        if isinstance(one, bytes | bytearray | memoryview):
            return self._classifier.encoded(bytes(one))
        if isinstance(one, np.ndarray | list):
            try:
                array = np.array(one)
            except ValueError:
                raise BadPicture("lists of unequal length are no array") from None
            return self._classifier.array(array)
        raise BadPicture(f"of type {type(one).__name__}; wanted are bytes of a file, an array or {self._texts}")

    def _file(self, text: str) -> bytes:
        """The bytes that a text stands for."""
        if not self._served and _names_file(text):
            path = Path(text)
            if path.stat().st_size > LIMITS.max_bytes:
                raise BadPicture(WORDS["too_large"])
            return path.read_bytes()
        if len(text) // 4 * 3 > LIMITS.max_bytes + 3:
            raise BadPicture(WORDS["too_large"])
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise BadPicture(f"a text that is not {self._texts}") from None

    @property
    def _texts(self) -> str:
        return "base64 of a file" if self._served else "the path or the base64 of a file"


def _names_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a path can be
        return False


def _forget_code(carried: Path) -> None:
    """Takes the code that travels with the model off the path where all of Fovea is there already.

    Processes that this one starts look for Fovea on its path, and would find the part instead of the whole.
    """
    if Path(fovea.__file__).resolve().parents[1] != carried:
        sys.path[:] = [place for place in sys.path if Path(place).resolve() != carried]


def _pictures(cells: Iterable[Any]) -> Iterator[Any]:
    """The pictures of a column; MLflow makes one cell of a list of texts, and of an array [N, H, W, C]."""
    for cell in cells:
        is_many = isinstance(cell, list | np.ndarray) and len(cell) > 0 and isinstance(cell[0], str | bytes)
        yield from cell if is_many or (isinstance(cell, np.ndarray) and cell.ndim == 4) else (cell,)


def _refuse(reason: str) -> NoReturn:
    """Says that the input is wrong, which the scoring server answers with 400."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    raise MlflowException(reason, error_code=INVALID_PARAMETER_VALUE)
