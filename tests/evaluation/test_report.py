"""The report: one page, whole, safe to open, and the files beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fovea.core import html
from fovea.core.errors import RunError
from fovea.evaluation.gallery import Judged
from fovea.evaluation.outcome import Outcome, headline
from fovea.evaluation.report import Findings, Report, write_report
from fovea.models.layer_rows import LayerRow


class Page(HTMLParser):
    """What a browser would see of a page: its tags, the texts outside of style, and the addresses it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def findings() -> Findings:
    outcome = Outcome(["<b>ant</b>", "bee & co"], np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    return Findings(
        run_name="net-insects-0123abcd",
        run_id="0f" * 16,
        metrics=headline(outcome, 0.95),
        confidence=0.95,
        outcome=outcome,
        mistakes=[Judged(np.zeros((4, 4, 1), np.uint8), "bee & co", "<b>ant</b>", 0.7)],
        least_sure=[Judged(np.zeros((4, 4, 1), np.uint8), "bee & co", "<b>ant</b>", 0.7)],
        history=pd.DataFrame({"epoch": [0, 1], "train/loss": [2.0, 1.0], "val/acc": [0.1, 0.2]}),
        counts={"train": 1500, "test": 3},
        config={"data": {"name": "insects", "classes": ["<b>ant</b>", "bee & co"]}, "seed": 0},
        layers=[LayerRow("conv1", "Conv2d", (8, 4, 4), 1560, 24_000, (1, 7), (1, 1))],
    )


@pytest.fixture
def page(findings: Findings) -> str:
    return (write_report(findings).path / "report.html").read_text(encoding="utf-8")


def test_the_page_tells_the_run_the_accuracy_the_data_the_config_and_the_layers(page: str) -> None:
    texts = Page(page).texts
    for text in (
        "net-insects-0123abcd",
        "MLflow run " + "0f" * 16,
        "test accuracy 66.67 % (95 % interval 20.77 to 93.85, 3 pictures)",
        "1,500",
        "data.name",
        "conv1",
        "1,560",
        "8x4x4",
        "1x7",
        "test/macro_f1",
    ):
        assert text in texts


def test_names_are_escaped_and_never_become_markup(page: str) -> None:
    read = Page(page)
    assert "<b>ant</b>" in read.texts
    assert "b" not in read.tags


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(page: str) -> None:
    read = Page(page)
    assert len(read.addresses) == 6
    assert all(address.startswith("data:image/png;base64,") for address in read.addresses)
    assert not {"script", "link", "iframe"} & set(read.tags)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "default-src 'none'" in page


def test_the_page_has_colours_for_light_and_dark(page: str) -> None:
    assert "@media (prefers-color-scheme: dark)" in page


def test_pictures_and_the_table_of_classes_stand_beside_the_page(findings: Findings) -> None:
    report = write_report(findings)
    names = ("curves", "confusion", "reliability", "roc", "misclassified", "least_sure")
    pictures = {f"{name}.png" for name in names}
    assert {path.name for path in report.path.iterdir()} == pictures | {"report.html", "per_class.csv"}
    table = pd.read_csv(report.path / "per_class.csv")
    assert table["class"].tolist() == ["<b>ant</b>", "bee & co"]
    assert table["recall"].tolist() == [1.0, 0.5]
    assert sum(path.stat().st_size for path in report.path.iterdir()) < 600_000


def test_the_same_findings_give_the_same_bytes(findings: Findings) -> None:
    first, second = write_report(findings), write_report(findings)
    assert {p.name: p.read_bytes() for p in first.path.iterdir()} == {
        p.name: p.read_bytes() for p in second.path.iterdir()
    }


def test_a_model_without_mistakes_says_so(findings: Findings) -> None:
    outcome = Outcome(["a", "b"], np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    report = write_report(replace(findings, outcome=outcome, mistakes=[], run_id=None))
    text = (report.path / "report.html").read_text()
    assert "No test picture was misclassified." in text
    assert "MLflow run not recorded" in text
    assert not (report.path / "misclassified.png").exists()


def test_a_gallery_of_none_is_left_out(findings: Findings) -> None:
    report = write_report(replace(findings, mistakes=[]))
    assert not (report.path / "misclassified.png").exists()
    assert "predicted instead" in (report.path / "report.html").read_text()


def test_a_published_report_opens_again(findings: Findings, tmp_path: Path) -> None:
    report = write_report(findings)
    report.publish(tmp_path / "report")
    assert Report.open(tmp_path / "report").path == tmp_path / "report"
    assert {p.name for p in (tmp_path / "report").iterdir()} == {p.name for p in report.path.iterdir()}


def test_temporary_reports_go_with_the_process(tmp_path: Path) -> None:
    code = "from fovea.evaluation import Report; (Report.scratch().path / 'report.html').touch()"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a report: it has no report\.html; make it with `kedro run --pipeline"):
        Report.open(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (float("nan"), "–"),  # noqa: RUF001
        (0.98765, "0.9877"),
        (1e-7, "1e-07"),
        (0.0, "0"),
        (61706, "61,706"),
        (True, "true"),
        ("a<b", "a<b"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_are_shown_as_a_reader_wants_them(value: object, text: str) -> None:
    assert html.shown(value) == text


def test_nested_config_becomes_dotted_keys() -> None:
    assert html.flat({"a": {"b": 1, "c": {}}, "d": [2]}) == {"a.b": 1, "a.c": {}, "d": [2]}
