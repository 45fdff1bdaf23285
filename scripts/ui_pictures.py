"""Makes the pictures of docs/ui.md: `python scripts/ui_pictures.py PROJECT`.

PROJECT is a copy of the project in which three runs were made, the second compared with the first:

    kedro run trainer.max_epochs=5
    kedro run trainer.max_epochs=5 seed=1 optimizer.lr=0.004
    kedro run trainer.max_epochs=5 model=small_cnn
    kedro compare FIRST SECOND --output compared
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator

from browser import chromium, window
from mlflow_pages import MlflowPages

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"

_SIZE = (1400, 860)
_COLOURS = 96
_MOST_BYTES = 200_000
_SETTLE = 2500.0  # milliseconds until nothing moves


def keep(name: str, png: bytes) -> None:
    """Writes a picture with few colours."""
    small = Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    path = PICTURES / f"{name}.png"
    small.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:.0f} kB")
    if size > _MOST_BYTES:
        sys.exit(f"{path} has {size:,} bytes, at most {_MOST_BYTES:,} are wanted; take fewer colours")


def shoot(project: Path, base: str, experiment_id: str, runs: dict[str, str]) -> None:
    """Goes through the pages; `runs` are the ids by name, the first run first."""
    names = list(runs)
    with chromium() as browser, window(browser, *_SIZE) as one:
        pages = MlflowPages(one, base, experiment_id)

        def settled(name: str, part: Locator | None = None) -> None:
            one.page.wait_for_timeout(_SETTLE)
            keep(name, part.screenshot() if part is not None else one.page.screenshot())

        pages.table()
        settled("table")
        pages.compare(names[:2])
        settled("compare_runs")
        pages.charts()
        settled("charts")
        pages.panel("pictures/confusion").locator("img").nth(1).wait_for()
        settled("side_by_side")
        pages.artifact(runs[names[1]], "report/report.html")
        pages.html().locator("h1").wait_for()
        settled("report")
        _compared(one.page.goto, project, settled)


def _compared(goto: Callable[[str], object], project: Path, settled: Callable[[str], None]) -> None:
    goto((project / "compared" / "compare.html").as_uri())
    settled("compare")


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1], "mlflow.db").is_file():
        sys.exit(__doc__)
    from fovea.tracking.server import HOST, choose_port, serving
    from fovea.tracking.store import open_store

    project = Path(sys.argv[1]).resolve()
    store = open_store(f"sqlite:///{project}/mlflow.db", "fovea")
    found = store.client.search_runs([store.experiment_id])
    runs = {run.info.run_name: run.info.run_id for run in reversed(found)}
    port = choose_port(None)
    PICTURES.mkdir(exist_ok=True)
    with serving(store.uri, port):
        shoot(project, f"http://{HOST}:{port}", store.experiment_id, runs)


if __name__ == "__main__":
    main()
