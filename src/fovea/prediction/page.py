"""One page of pictures and what a model said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fovea.core import html
from fovea.core.files import explained
from fovea.evaluation.folder import FolderHandle

if TYPE_CHECKING:
    from fovea.inspection.thumbnails import Thumbnail
    from fovea.prediction.classify import Predictions

_REASONS = 1000  # unreadable files named, at most

Show = Callable[[int], "Thumbnail | None"]
"""The picture of a row of the source, in small; None: it is not there any more."""


@dataclass(frozen=True)
class PredictionPage(FolderHandle):
    """The folder with `predictions.html`, which holds its pictures and loads nothing."""

    kind: ClassVar[str] = "a gallery of predictions"
    mark: ClassVar[str] = "predictions.html"
    stage: ClassVar[str] = "predict"


def write_page(found: Predictions, title: str, words: Sequence[str], most: int, show: Show) -> PredictionPage:
    """Writes the page into a temporary folder: publish it to keep it.

    Args:
        found: What was said.
        title: What was classified.
        words: Sentences about the model and the result; the first is the headline.
        most: Pictures of each kind shown, at most.
        show: Gives the pictures.

    Raises:
        RunError: The disk is full.
    """
    page = PredictionPage.scratch()
    body = html.page(title, _body(found, title, words, most, show))
    with explained(f"writing the gallery into {page.path}"):
        (page.path / page.mark).write_text(body, encoding="utf-8", errors="replace")
    return page


def _body(found: Predictions, title: str, words: Sequence[str], most: int, show: Show) -> Iterator[str]:
    yield html.heading(title, level=1)
    yield html.paragraph(words[0], "headline")
    for sentence in words[1:]:
        yield html.paragraph(sentence, "soft")
    yield html.heading("Classes")
    yield _classes(found)
    wrong, unsure, count = found.wrong(), found.least_sure(), len(found.rows)
    if most and len(wrong):
        yield html.heading("Mistakes")
        yield html.paragraph(f"The surest first: label, then what was predicted{_shown(most, len(wrong))}.", "soft")
        yield _gallery(found, wrong[:most], show)
    if most and count > most:
        yield html.heading("Least sure")
        yield _gallery(found, unsure[:most], show)
    if most and count:
        from fovea.inspection.thumbnails import spaced

        yield html.heading("Pictures")
        yield html.paragraph(f"By class{_shown(most, count)}.", "soft")
        by_class = np.lexsort((-found.probabilities[:, 0], found.top[:, 0]))
        yield _gallery(found, spaced(by_class, most), show)
    if found.reasons:
        yield html.heading("Not readable")
        named = sorted(found.reasons.items())[:_REASONS]
        yield html.paragraph(f"{len(found.reasons):,} files{_shown(_REASONS, len(found.reasons))}.", "soft")
        yield html.table(["path", "reason"], [(found.names[row], reason) for row, reason in named])


def _classes(found: Predictions) -> str:
    """Pictures of each class that was predicted, most first; with labels also how many of the class are right."""
    predicted = np.bincount(found.top[:, 0], minlength=len(found.classes))
    order = list(np.argsort(-predicted, kind="stable").tolist())
    if found.labels is None:
        rows = [(found.classes[label], int(predicted[label])) for label in order if predicted[label]]
        return html.table(["predicted", "pictures"], rows)
    judged = found.judged().tolist()
    actual = [str(found.label(place)) for place in judged]
    right = [label for place, label in zip(judged, actual, strict=True) if label == found.predicted(place)]
    full = [
        (name, int(predicted[label]), actual.count(name), right.count(name))
        for label, name in ((label, found.classes[label]) for label in order)
        if predicted[label] or name in actual
    ]
    return html.table(["class", "predicted", "labelled so", "of these right"], full)


def _gallery(found: Predictions, places: NDArray[np.int64], show: Show) -> str:
    return html.gallery(_figure(found, place, show) for place in places.tolist())


def _figure(found: Predictions, place: int, show: Show) -> str:
    row = int(found.rows[place])
    name, predicted, label = found.names[row], found.predicted(place), found.label(place)
    said = f"{predicted} {found.probabilities[place, 0]:.2f}"
    picture = show(row)
    markup = picture.markup(f"{name}: {predicted}") if picture else html.listing("not there any more")
    arrow = f"{label} → {said}" if label is not None and label != predicted else said
    return html.figure([markup], [arrow, name])


def _shown(most: int, total: int) -> str:
    return "" if total <= most else f", {most:,} of {total:,} shown"
