"""What a reader sees in Chromium: MLflow's UI over real runs, the report of a run, the page of a comparison."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import browser
from browser import Window
from mlflow_pages import MlflowPages

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(browser.program() is None, reason="Chromium is not installed: sh scripts/chromium.sh"),
]

SETTINGS = """\
trainer: {max_epochs: 3, limit_batches: 8}
evaluate: {gallery: 6}
"""
# MLflow asks who is logged in, which a server without users does not know.
HARMLESS = ("/ajax-api/2.0/mlflow/users/current", "status of 404", "ResizeObserver loop")


@dataclass(frozen=True)
class Shown:
    """Two runs, and where they are shown.

    Attributes:
        base: Address of the server of `kedro ui`.
        runs: MLflow's runs, the first first.
        page: That of their comparison.
        report: That of the second run.
        curves: Values of val/acc by epoch, of each run.
        experiment_id: Of both.
    """

    base: str
    runs: list[Any]
    page: Path
    report: Path
    curves: list[list[float]]
    experiment_id: str

    @property
    def names(self) -> list[str]:
        return [run.info.run_name for run in self.runs]


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for_links(process: subprocess.Popen[str], log: Path) -> None:
    end = time.monotonic() + 180
    while "Ctrl-C ends it." not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, "kedro ui does not answer"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def shown(make_project: Callable[..., Any]) -> Iterator[Shown]:
    from mlflow import MlflowClient

    project = make_project("shown", SETTINGS)
    project.run("kedro", "run")
    project.run("kedro", "run", "seed=1", "optimizer.lr=0.004")
    runs = project.runs()[::-1]
    project.run("kedro", "compare", *(run.info.run_id for run in runs), "--output", "compared")
    client = MlflowClient(f"sqlite:///{project.root}/mlflow.db")
    curves = [[point.value for point in client.get_metric_history(run.info.run_id, "val/acc")] for run in runs]
    port = _free_port()
    process = project.start("kedro", "ui", "--port", str(port))
    try:
        _wait_for_links(process, project.root.parent / "output.log")
        yield Shown(
            f"http://127.0.0.1:{port}",
            runs,
            project.root / "compared/compare.html",
            project.root / "data/08_reporting/report/report.html",
            curves,
            runs[0].info.experiment_id,
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as one:
        yield one


def _unexpected(window: Window) -> list[str]:
    return [error for error in window.errors if not any(harmless in error for harmless in HARMLESS)]


@pytest.fixture
def window(chromium: Any) -> Iterator[Window]:
    """A window that must not ask for anything beyond this machine, nor hand in what its reader does."""
    with browser.window(chromium, 1600, 1000) as one:
        handed_in: list[str] = []
        one.page.on(
            "request",
            lambda asked: handed_in.append(asked.url) if "telemetry" in asked.url and asked.method == "POST" else None,
        )
        yield one
        assert (one.outside, handed_in, _unexpected(one)) == ([], [], [])


@pytest.fixture
def pages(window: Window, shown: Shown) -> MlflowPages:
    return MlflowPages(window, shown.base, shown.experiment_id)


def test_the_table_has_a_row_a_run_and_the_columns_to_compare_by(pages: MlflowPages, shown: Shown) -> None:
    pages.table()
    assert pages.names() == shown.names[::-1]
    columns = pages.columns()
    assert {"Run Name", "Created", "test/acc", "val/acc", "overrides", "optimizer.lr", "seed"} <= set(columns)
    assert pages.cells("overrides").all_inner_texts() == ["seed=1 optimizer.lr=0.004", "-"]
    told = [float(text.rstrip("…")) for text in pages.cells("test/acc").all_inner_texts()]
    assert told == pytest.approx([run.data.metrics["test/acc"] for run in shown.runs[::-1]], abs=1e-3)
    assert "One run is one trained model" in pages.page.locator("body").inner_text()
    assert pages.page.get_by_role("link", name="Model registry").is_visible()


def test_curves_of_both_runs_lie_over_the_epochs(pages: MlflowPages, shown: Shown) -> None:
    area = pages.charts()
    panel = area.locator(".js-plotly-plot").first
    panel.locator("path.js-line").nth(1).wait_for(state="attached")
    drawn = panel.evaluate(
        "plot => plot.data.filter(one => one.x?.length).map(one => [one.name ?? '', [...one.x], [...one.y]])"
    )
    curves = {tuple(y): x for _, x, y in drawn}
    assert {tuple(curve) for curve in shown.curves} <= set(curves)
    assert [curves[tuple(curve)] for curve in shown.curves] == [[1, 2, 3], [1, 2, 3]]
    titles = area.inner_text()
    assert all(title in titles for title in ("at a glance", "parameters that differ", "test/acc"))


def test_the_chart_view_tells_which_parameters_differ(pages: MlflowPages) -> None:
    area = pages.charts()
    area.get_by_text("optimizer.lr", exact=True).wait_for()
    text = area.inner_text()
    assert re.search(r"optimizer\.lr\s+0\.004\s+0\.002", text)
    assert re.search(r"seed\s+1\s+0", text)
    assert "trainer.max_epochs" not in text


def test_pictures_of_both_runs_stand_side_by_side(pages: MlflowPages, shown: Shown) -> None:
    card = pages.panel("pictures/confusion")
    card.locator("img").nth(1).wait_for()
    first, second = (picture.bounding_box() for picture in card.locator("img").all()[:2])
    assert first is not None
    assert second is not None
    assert first["y"] == pytest.approx(second["y"], abs=2)
    assert min(first["width"], second["width"]) > 200
    assert all(name in card.inner_text() for name in shown.names)
    assert "albumentations" not in card.inner_text()  # no hundred parameters below each


def test_two_runs_that_are_ticked_are_compared(pages: MlflowPages, shown: Shown) -> None:
    pages.table()
    pages.compare(shown.names)
    text = pages.page.locator("body").inner_text()
    assert "Comparing 2 Runs" in text
    assert all(run.info.run_id in text for run in shown.runs)
    assert re.search(r"optimizer\.lr\s+0\.00[24]\s+0\.00[24]", text)


def test_the_page_of_a_run_tells_data_origin_and_command(pages: MlflowPages, shown: Shown) -> None:
    run = shown.runs[1]
    pages.run(run.info.run_id)
    pages.page.get_by_text(f"digits ({run.data.tags['data_digest'][:12]})").first.wait_for()
    text = pages.page.locator("body").inner_text()
    assert "kedro run seed=1 optimizer.lr=0.004" in text
    assert "choice.model" in text


def test_the_report_is_whole_inside_mlflow(pages: MlflowPages, shown: Shown) -> None:
    run = shown.runs[1]
    pages.artifact(run.info.run_id, "report/report.html")
    frame = pages.html()
    frame.get_by_role("heading", name=run.info.run_name).wait_for()
    assert "test accuracy" in frame.locator(".headline").inner_text()
    widths = frame.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert len(widths) >= 6
    assert min(widths) > 100
    assert frame.get_by_role("heading", name="Config").count() == 1


def test_a_picture_among_the_artifacts_is_shown(pages: MlflowPages, shown: Shown) -> None:
    pages.artifact(shown.runs[1].info.run_id, "report/confusion.png")
    picture = pages.page.locator("img[src^='blob:']:visible").first
    picture.wait_for()
    assert picture.evaluate("async one => { await one.decode(); return one.naturalWidth; }") > 200


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "narrow"])
@pytest.mark.parametrize("which", ["report", "page"])
def test_pages_of_ours_are_readable_everywhere(chromium: Any, shown: Shown, which: str, width: int, dark: bool) -> None:
    with browser.window(chromium, width, 800, dark=dark) as window:
        window.page.goto(getattr(shown, which).as_uri())
        window.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert window.undecoded() == []
        assert window.faint() == []
        assert window.overflow() == 0
        assert (window.outside, window.errors) == ([], [])
        assert window.page.locator("img").count() >= 2
        ground = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(20, 20, 20)" if dark else "rgb(255, 255, 255)")


def test_the_checks_find_what_is_wrong(chromium: Any) -> None:
    with browser.window(chromium) as window:
        window.page.set_content(
            "<body style='background: #fff'><p style='color: #aaa'>faint</p><p>plain</p>"
            "<div style='width: 3000px; height: 9px'></div><img alt='gone' src='data:image/png;base64,AAAA'><img src='http://example.com/a.png'>"
        )
        assert window.faint() == ["faint: 2.3"]
        assert window.undecoded() == ["gone", "http://example.com/a.png"]
        assert window.overflow() > 1000
        assert window.outside == ["http://example.com/a.png"]
        assert window.errors
