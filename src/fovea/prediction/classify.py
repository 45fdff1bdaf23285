"""What a model says about pictures that may come from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.evaluation.temperature import scaled
from fovea.prediction.pictures import Unreadable, decoded
from fovea.prediction.predictor import Predictor
from fovea.prediction.source import Source

if TYPE_CHECKING:
    import pandas as pd

Picture = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The k most probable classes of N pictures, of which M could be read.

    Attributes:
        names: Of the N pictures.
        labels: As the source has them: N classes or None; None: it has none at all.
        classes: Names of the K classes.
        rows: int64 [M], places of the readable ones among the N.
        top: int64 [M, k], classes, the most probable first.
        probabilities: float64 [M, k], of these classes.
        reasons: Why each of the others could not be read, by its place.
    """

    names: Sequence[str]
    labels: Sequence[str | None] | None
    classes: Sequence[str]
    rows: Ints
    top: Ints
    probabilities: NDArray[np.float64]
    reasons: dict[int, str]

    def predicted(self, place: int) -> str:
        """The most probable class of the readable picture at a place of `rows`."""
        return self.classes[int(self.top[place, 0])]

    def label(self, place: int) -> str | None:
        """The label of the readable picture at a place of `rows`."""
        return None if self.labels is None else self.labels[int(self.rows[place])]

    def judged(self) -> NDArray[np.int64]:
        """Places of `rows` of pictures whose label is a class of the model: those that an accuracy can be told of."""
        known = set(self.classes)
        return np.array([place for place in range(len(self.rows)) if self.label(place) in known], np.int64)

    def wrong(self) -> Ints:
        """Places of `rows` whose label is another class than the predicted one, the surest mistake first."""
        places = [place for place in self.judged().tolist() if self.label(place) != self.predicted(place)]
        order = np.array(places, np.int64)
        return order[np.argsort(-self.probabilities[order, 0], kind="stable")]

    def least_sure(self) -> Ints:
        """Places of `rows`, the least probable prediction first."""
        order: Ints = np.argsort(self.probabilities[:, 0], kind="stable")
        return order

    def table(self) -> pd.DataFrame:
        """A row a picture, in the order of the source.

        Columns path, label (where the source has labels), predicted, probability, status (`ok` or `unreadable`),
        reason, then predicted_2, probability_2 and so on to k.
        """
        import pandas as pd

        count, extra = len(self.names), self.top.shape[1]
        columns: dict[str, Any] = {"path": list(self.names)}
        if self.labels is not None:
            columns["label"] = list(self.labels)
        ranked = {name: values for rank in range(extra) for name, values in self._ranked(rank, count)}
        columns |= {name: ranked.pop(name) for name in ("predicted", "probability")}
        columns["status"] = ["unreadable" if row in self.reasons else "ok" for row in range(count)]
        columns["reason"] = [self.reasons.get(row) for row in range(count)]
        return pd.DataFrame(columns | ranked)

    def _ranked(self, rank: int, count: int) -> Iterator[tuple[str, Any]]:
        names = np.full(count, None, object)
        names[self.rows] = [self.classes[label] for label in self.top[:, rank].tolist()]
        shares = np.full(count, np.nan)
        shares[self.rows] = self.probabilities[:, rank]
        end = f"_{rank + 1}" if rank else ""
        yield f"predicted{end}", names
        yield f"probability{end}", shares


def classify(predictor: Predictor, source: Source, *, temperature: float, top_k: int, batch_size: int) -> Predictions:
    """Classifies all pictures of a source, a batch in memory at a time.

    Args:
        predictor: The model.
        source: The pictures.
        temperature: That logits are divided by.
        top_k: Classes kept of each picture; all of them where there are fewer.
        batch_size: Pictures decoded and classified at a time.

    Raises:
        RunError: The model gives no numbers.
    """
    count = min(top_k, len(predictor.classes))
    reasons: dict[int, str] = {}
    rows: list[int] = []
    tops, shares = [np.zeros((0, count), np.int64)], [np.zeros((0, count))]
    for start in range(0, len(source), batch_size):
        images = []
        for row in range(start, min(start + batch_size, len(source))):
            try:
                images.append(seen(predictor, source, row))
            except Unreadable as error:
                reasons[row] = str(error)
            else:
                rows.append(row)
        if images:
            found = scaled(predictor.logits(np.stack(images)), temperature)
            best = np.argsort(-found, axis=1, kind="stable")[:, :count]
            tops.append(best)
            shares.append(np.take_along_axis(found, best, axis=1))
    return Predictions(
        source.names,
        source.labels,
        predictor.classes,
        np.array(rows, np.int64),
        np.concatenate(tops),
        np.concatenate(shares),
        reasons,
    )


def seen(predictor: Predictor, source: Source, row: int) -> Picture:
    """A picture as the network sees it, uint8 [H, W, C].

    Raises:
        Unreadable: It cannot be read, or the model's transforms cannot take it.
    """
    try:
        return predictor.view(decoded(source.read(row), predictor.channels))
    except RunError as error:
        raise Unreadable(str(error)) from None
