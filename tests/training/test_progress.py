from __future__ import annotations

import io
import sys

import pytest

from fovea.training.progress import epoch_line, wants_bar

ROW = {
    "epoch": 3,
    "step": 300,
    "train/loss": 0.12345,
    "train/acc": 0.95,
    "val/loss": 0.2,
    "val/acc": 0.9444,
    "lr": 0.00123,
}


def test_an_epoch_leaves_one_line() -> None:
    assert epoch_line(ROW, 20, 12345.6) == (
        "epoch 3/20  train/loss 0.1235  train/acc 0.9500  val/loss 0.2000  val/acc 0.9444  lr 1.23e-03  12,346 images/s"
    )


@pytest.mark.parametrize(
    ("mode", "terminal", "bar"),
    [("auto", True, True), ("auto", False, False), ("bar", False, True), ("lines", True, False), ("none", True, False)],
)
def test_a_bar_on_a_terminal_or_as_told(mode: str, terminal: bool, bar: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    assert wants_bar(mode) is bar  # type: ignore[arg-type]
