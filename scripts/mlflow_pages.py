"""The pages of MLflow's UI as a reader uses them, in a window of `browser`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator

    from browser import Window

_CHARTS = "experiment-view-compare-runs-chart-area"

_PANEL = "experiment-view-compare-runs-card"
_STEPS = 20
_MENU = "workflowType=machine_learning"  # that for models, not for chats

# MLflow unfolds a chat on the first visit; these are the pages of one who has closed it.
_SEEN = "try { localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true') } catch {}"


class MlflowPages:
    """Walks through the UI of one experiment.

    Args:
        window: Where to.
        base: Address of the server, as in `http://127.0.0.1:5000`.
        experiment_id: The experiment.
    """

    def __init__(self, window: Window, base: str, experiment_id: str) -> None:
        self.page = window.page
        self._base = base
        self._experiment_id = experiment_id
        self.page.add_init_script(_SEEN)

    def table(self) -> None:
        """Opens the table of runs, as `kedro ui` prints the address."""
        self._open_link("table")
        self.cells("test/acc").first.wait_for()

    def charts(self) -> Locator:
        """Opens the chart view, as `kedro ui` prints the address; gives the area with the panels."""
        self._open_link("curves")
        area = self.page.get_by_test_id(_CHARTS)
        area.locator(".js-plotly-plot").first.wait_for()
        return area

    def panel(self, title: str) -> Locator:
        """Opens the chart view and scrolls to a panel; MLflow draws only those that are in view."""
        area = self.charts()
        panel = area.get_by_test_id(_PANEL).filter(has_text=title)
        for _ in range(_STEPS):
            if panel.count():
                break
            area.evaluate("area => area.scrollBy(0, 250)")
            self.page.wait_for_timeout(500)
        panel.first.scroll_into_view_if_needed()
        return panel.first

    def columns(self) -> list[str]:
        """The names at the top of the table, as far as they are in view."""
        return [text.strip() for text in self.page.locator(".ag-header-cell").all_inner_texts() if text.strip()]

    def cells(self, column: str) -> Locator:
        """The cells of a column, by the end of the name that MLflow gives it."""
        return self.page.locator(f".ag-row .ag-cell[col-id*='{column}']")

    def names(self) -> list[str]:
        """The names of the runs in the table, from top to bottom."""
        return self.page.locator(".ag-row a[href*='/runs/']").all_inner_texts()

    def compare(self, names: Sequence[str]) -> None:
        """Ticks runs in the table and presses "Compare"."""
        for name in names:
            self.page.get_by_role("row").filter(has_text=name).locator(".ag-checkbox-input").check(force=True)
        self.page.get_by_role("button", name="Compare", exact=True).click()
        self.page.get_by_role("heading", name=re.compile("Comparing")).wait_for()

    def run(self, run_id: str, tab: str = "") -> None:
        """Opens the page of a run: its overview, or `artifacts`, `model-metrics`."""
        self._go(f"/#/experiments/{self._experiment_id}/runs/{run_id}{f'/{tab}' if tab else ''}?{_MENU}")

    def artifact(self, run_id: str, path: str) -> None:
        """Opens an artifact of a run."""
        self.run(run_id, f"artifacts/{path}")

    def html(self) -> FrameLocator:
        """The frame in which MLflow shows an HTML artifact."""
        return self.page.frame_locator("iframe.mlflow-html-iframe")

    def _open_link(self, name: str) -> None:
        from fovea.tracking.server import links

        address = links(self._base, self._experiment_id)[name]
        self._go(address.removeprefix(self._base))

    def _go(self, place: str) -> None:
        # A new address behind the # alone loads nothing.
        self.page.goto("about:blank")
        self.page.goto(f"{self._base}{place}")
