from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from fovea.comparison.charts import changes, curves, intervals
from fovea.comparison.pairing import pair
from fovea.comparison.past import PastRun
from fovea.inspection.drawing import png

INTERVAL = {"test/acc": 0.9, "test/acc_low": 0.85, "test/acc_high": 0.93, "test/loss": 0.3}


@dataclass(frozen=True)
class Split:
    ids: Sequence[str]

    def image(self, row: int) -> np.ndarray:
        return np.full((8, 8, 1), row, np.uint8)


@pytest.fixture
def histories() -> Mapping[str, pd.DataFrame]:
    long = pd.DataFrame({"epoch": [1, 2, 3], "train/acc": [0.5, 0.7, 0.8], "val/acc": [0.4, np.nan, 0.7]})
    return {"long": long, "short": pd.DataFrame({"epoch": [1], "val/acc": [0.6]})}


def test_curves_of_one_kind_share_an_axis(histories: Mapping[str, pd.DataFrame]) -> None:
    figure = curves(histories, ["train/acc", "val/acc"])
    train, val = figure.axes
    assert [line.get_ydata().tolist() for line in train.lines] == [[0.5, 0.7, 0.8]]
    assert [line.get_xdata().tolist() for line in val.lines] == [[1, 3], [1]], "an epoch without a value is left out"
    assert train.get_ylim() == val.get_ylim()
    assert [text.get_text() for legend in figure.legends for text in legend.get_texts()] == ["long", "short"]
    assert png(figure).startswith(b"\x89PNG")


def test_a_run_has_its_colour_in_every_panel(histories: Mapping[str, pd.DataFrame]) -> None:
    figure = curves({name: histories[name] for name in ("short", "long")}, ["train/acc", "val/acc"])
    train, val = figure.axes
    assert train.lines[0].get_color() == val.lines[1].get_color() != val.lines[0].get_color()


def test_intervals_are_drawn_where_a_run_has_them(past: Callable[..., PastRun]) -> None:
    runs = [past("one", "a", labels="a", metrics=INTERVAL), past("two", "a", labels="a", metrics={"test/acc": 0.8})]
    figure = intervals(runs, ["test/acc", "test/loss"])
    acc, loss = figure.axes
    assert [line.get_xdata().tolist() for line in acc.lines] == [[0.85, 0.93], [0.9]]
    assert len(loss.lines) == 0
    assert [text.get_text() for text in acc.get_yticklabels()] == ["one", "two"]
    assert acc.get_ylim() == (1.5, -0.5), "the first run stands above"


def test_changed_pictures_stand_over_what_was_said(past: Callable[..., PastRun]) -> None:
    pairing = pair(past("one", "aab", labels="abb"), past("two", "bbb", labels="abb"))
    figure = changes(pairing.won, Split(["digit-0", "digit-1", "digit-2"]))  # type: ignore[arg-type]
    assert [text.get_text() for text in figure.axes[0].texts] == ["is b\na (0.51) → b (0.51)"]
    assert len(changes(pairing.table, Split(["digit-0", "digit-1", "digit-2"]), most=2).axes[0].texts) == 2  # type: ignore[arg-type]
