from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fovea.evaluation.mosaics import kernels_mosaic
from fovea.inspection.drawing import blank
from fovea.notebook import Trained, photograph, show


def test_figures_and_sheets_of_kernels_become_pictures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    show(blank(1, 1), kernels_mosaic(np.random.default_rng(0).normal(size=(4, 1, 3, 3)).astype(np.float32)))
    assert [one.data[:8] for one in shown] == [b"\x89PNG\r\n\x1a\n"] * 2
    assert "4 kernels of 3x3" in capsys.readouterr().out


def test_the_photograph_is_a_square_of_colours() -> None:
    picture = photograph(64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 30


def test_a_training_says_its_accuracy() -> None:
    metrics = {"test/acc": 0.9612, "test/acc_low": 0.95, "test/acc_high": 0.9704}
    said = str(Trained("lenet5-digits-0", metrics, history=None, network=None))  # type: ignore[arg-type]
    assert said == "lenet5-digits-0: test accuracy 96.1 %, interval 95.0 to 97.0"
