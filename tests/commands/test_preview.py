"""`kedro preview` on the embedded digits, in a project of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

Kedro = Callable[..., Result]
FOLDER = Path("data/08_reporting/preview")


@pytest.fixture(autouse=True)
def _root(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEA_ROOT", str(own_project))


def test_it_prepares_the_data_and_says_where_the_page_lies(kedro: Kedro, own_project: Path) -> None:
    result = kedro("preview", "augment=mnist", "trainer.max_epochs=3")
    assert result.exit_code == 0, result.output
    page = own_project / FOLDER / "preview.html"
    assert result.stdout.splitlines()[-1] == f"The preview is in {page}"
    text = page.read_text(encoding="utf-8")
    assert "digits: preview" in text
    assert "<td>epochs</td><td>3</td>" in text.replace(' class="number"', "")
    assert {path.name for path in page.parent.glob("*.png")} == {"samples.png", "schedule.png", "classes.png"}
    (prepared,) = (own_project / "data/03_primary").glob("digits-*")
    facts = json.loads((prepared / "data_report.json").read_text(encoding="utf-8"))
    assert (facts["pictures"], facts["formats"]) == (5000, {})
    note = json.loads((prepared / "prepared.json").read_text(encoding="utf-8"))
    assert [file["name"] for file in note["report"]] == ["data_report.html", "data_report.json"]
    assert not (own_project / "mlflow.db").exists()
    assert not (own_project / "data/06_models").exists()


def test_mixed_pictures_are_shown_where_they_are_mixed(kedro: Kedro, tmp_path: Path) -> None:
    result = kedro("preview", "--output", str(tmp_path / "out"), "augment.mix.mixup_alpha=0.4", "augment.mix.prob=1")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "mixed.png").is_file()
    assert "Mixed pictures" in (tmp_path / "out" / "preview.html").read_text(encoding="utf-8")


def test_more_pictures_of_each_class_make_a_wider_sheet(kedro: Kedro, tmp_path: Path) -> None:
    widths = []
    for count in ("1", "3"):
        assert kedro("preview", "--output", str(tmp_path), "--count", count).exit_code == 0
        with Image.open(tmp_path / "samples.png") as sheet:
            widths.append(np.asarray(sheet).shape[1])
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("augment.train=[{_target_: albumentations.HorizontalFlop}]", "did you mean"),
        ("modell=lenet5", "modell"),
        ("optimizer.lr=-1", "optimizer.lr"),
    ],
)
def test_mistakes_are_told_in_one_sentence(kedro: Kedro, override: str, words: str) -> None:
    result = kedro("preview", override)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
