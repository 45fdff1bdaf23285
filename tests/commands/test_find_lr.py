"""`kedro find-lr` on the embedded digits, in a project of its own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

Kedro = Callable[..., Result]
FOLDER = Path("data/08_reporting/find_lr")


@pytest.fixture(autouse=True)
def _root(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEA_ROOT", str(own_project))


@pytest.mark.slow
def test_the_override_is_what_is_scaled_to_the_rate_that_was_found(kedro: Kedro) -> None:
    scaling = ("optimizer.lr_scaling=linear", "optimizer.lr_base_batch=16")
    result = kedro("find-lr", "model=lenet5", "--steps", "40", "loader.batch_size=64", *scaling)
    assert result.exit_code == 0, result.output
    _, steepest, _, override = result.stdout.splitlines()
    assert float(override.removeprefix("optimizer.lr=")) == pytest.approx(float(steepest.split()[-1]) / 4, rel=0.1)


def test_it_draws_the_curve_prints_an_override_and_leaves_nothing_else(kedro: Kedro, own_project: Path) -> None:
    result = kedro("find-lr", "model=lenet5", "--steps", "40", "loader.batch_size=64")
    assert result.exit_code == 0, result.output
    place, steepest, tenth, override = result.stdout.splitlines()
    assert place == f"The curve is in {own_project / FOLDER / 'lr_range.png'}"
    assert override == f"optimizer.lr={steepest.split()[-1]}"
    assert 1e-4 < float(steepest.split()[-1]) < 1
    assert 1e-4 < float(tenth.split()[-1]) < 1
    with (own_project / FOLDER / "lr_range.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "lr", "loss", "smoothed"]
    assert (rows[0]["step"], float(rows[0]["lr"])) == ("0", pytest.approx(1e-6))
    assert float(rows[0]["loss"]) == pytest.approx(2.3, abs=0.4)
    with Image.open(own_project / FOLDER / "lr_range.png") as picture:
        assert picture.width > 400
    left = {path.name for path in (own_project / "data").iterdir()}
    assert left == {"01_raw", "03_primary", "08_reporting"}
    assert {path.name for path in (own_project / "data/08_reporting").iterdir()} == {"find_lr"}
    assert not (own_project / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--min", "1", "--max", "0.1"), 2, "--min=1 is not below --max=0.1"),
        (("--max", "0"), 2, "--max"),
        (("optimizer.lrr=1",), 2, "optimizer.lrr"),
        (("--min", "1e-9", "--max", "1e-8", "--steps", "20"), 1, "the loss falls at no rate between 1e-09 and 1e-08"),
    ],
)
def test_mistakes_are_told_in_one_sentence(kedro: Kedro, words: tuple[str, ...], code: int, sentence: str) -> None:
    result = kedro("find-lr", *words)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert FOLDER.exists() == (code == 1)  # the curve shows why
