from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook: Path, fresh_project: Any) -> None:
    path = fresh_project.root / "notebooks" / notebook.name
    fresh_project.run("jupyter", "execute", "--inplace", "--timeout=300", str(path))
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    written = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert f"test accuracy {fresh_project.metrics()['test/acc']:.1%}" in written
    assert "Loading data from" not in str(cells), "Kedro's own log lines belong in the log file"
    (run,) = fresh_project.runs()
    assert run.info.status == "FINISHED"
