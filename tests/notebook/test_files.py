"""What every notebook in git is like; tests/e2e/test_notebooks.py runs them."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def strip() -> ModuleType:
    spec = importlib.util.spec_from_file_location("strip_notebooks", ROOT / "scripts" / "strip_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(path: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return content


def test_there_are_six_stories() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_holds_no_outputs(path: Path, strip: ModuleType) -> None:
    text = path.read_text(encoding="utf-8")
    assert strip.stripped(text) == text
    assert len(cells(path)) <= 25


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_what_to_read_next_and_that_is_there(path: Path) -> None:
    last = cells(path)[-1]
    assert last["cell_type"] == "markdown"
    assert "**Read next:**" in "".join(last["source"])
    words = "".join("".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown")
    named = re.findall(r"\]\((?!https?:)([^)]+)\)", words)
    assert named
    assert [name for name in named if not (path.parent / name).exists()] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_named_in_the_docs(path: Path) -> None:
    assert f"](../notebooks/{path.name})" in (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
