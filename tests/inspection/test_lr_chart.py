from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fovea.inspection.lr_chart import chart, write
from fovea.training.lr_range import LrRange, Suggestion

RATES = np.geomspace(1e-4, 1, 5)
LOSSES = np.array([2.0, 1.5, 1.0, 1.2, np.nan])


@pytest.mark.parametrize("suggestion", [None, Suggestion(0.001, 0.002)])
def test_the_curve_is_drawn_on_a_log_axis_with_what_is_suggested(suggestion: Suggestion | None) -> None:
    (axes,) = chart(LrRange(RATES, LOSSES, LOSSES, suggestion)).axes
    assert axes.get_xscale() == "log"
    marked = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert marked == ([] if suggestion is None else [0.001, 0.002])
    assert axes.get_ylim() == (pytest.approx(0.9), pytest.approx(2.1))  # the smoothed curve with a tenth around it


def test_a_loss_that_never_was_a_number_is_written_too(tmp_path: Path) -> None:
    nothing = np.full(1, np.nan)
    picture = write(LrRange(RATES[:1], nothing, nothing, None), tmp_path)
    assert picture.stat().st_size > 1000
    assert (tmp_path / "lr_range.csv").read_text() == "step,lr,loss,smoothed\n0,0.0001,nan,nan\n"
