"""Each notebook from top to bottom, in one copy of the project, and that its story holds."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nbformat
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Read:
    """An executed notebook.

    Attributes:
        text: All that it says.
        pictures: Its PNG files.
    """

    text: str
    pictures: list[bytes]

    def accuracies(self) -> dict[str, float]:
        """By what stands before each "test accuracy", in percent."""
        return {name: float(value) for name, value in re.findall(r"^([^:\n]*):.* accuracy ([\d.]+) %", self.text, re.M)}


@pytest.fixture(scope="module")
def project_copy(make_project: Callable[..., Any]) -> Any:
    return make_project("notebooks")


@pytest.fixture(scope="module")
def execute(project_copy: Any) -> Callable[[str], Read]:
    """Runs a notebook of the copy; an error in a cell is one of the test."""

    def run(name: str) -> Read:
        path = project_copy.root / "notebooks" / f"{name}.ipynb"
        project_copy.run("jupyter", "execute", "--inplace", "--timeout=550", str(path))
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in cells)
        outputs = [output for cell in cells for output in cell.outputs]
        said = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
        assert "Loading data from" not in str(cells), "Kedro's own log lines belong in the log file"
        assert "Warning" not in "".join(said)
        drawn = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
        return Read("\n".join(said), [base64.b64decode(picture) for picture in drawn])

    return run


def test_a_first_run(execute: Callable[[str], Read], project_copy: Any) -> None:
    read = execute("01_first_run")
    assert f"test accuracy {project_copy.metrics()['test/acc']:.1%}" in read.text
    assert len(read.pictures) >= 1
    assert project_copy.runs()[0].info.status == "FINISHED"


def test_the_data(execute: Callable[[str], Read]) -> None:
    read = execute("02_the_data")
    assert "229 files" in read.text
    for reason in ("duplicate", "label_conflict", "straddles_splits", "empty", "not_an_image", "truncated"):
        assert reason in read.text
    assert "Ask which" in read.text, "the first bytes of a file that is no picture"
    assert len(read.pictures) >= 4


def test_augmentation(execute: Callable[[str], Read]) -> None:
    read = execute("03_augmentation")
    assert "the same to the bit: True" in read.text
    accuracy = read.accuracies()
    assert accuracy["turned and shifted"] > accuracy["without"] > accuracy["mirrored"] > 50
    assert len(read.pictures) >= 4


def test_what_the_layers_see(execute: Callable[[str], Read]) -> None:
    read = execute("04_what_the_layers_see")
    assert "61706" in read.text.replace(",", ""), "LeNet-5's parameters"
    assert "28 -> 14" in read.text
    assert min(read.accuracies().values()) > 85
    assert len(read.pictures) >= 12


def test_transfer_learning(execute: Callable[[str], Read]) -> None:
    read = execute("05_transfer_learning")
    accuracy = read.accuracies()
    (scratch,) = (value for name, value in accuracy.items() if name.startswith("lenet5"))
    head, *_ = (value for name, value in accuracy.items() if name.startswith("efficientnet_lite0"))
    assert scratch < 50
    assert head > 80
    assert len(read.pictures) >= 4


def test_comparing_runs(execute: Callable[[str], Read], project_copy: Any) -> None:
    read = execute("06_comparing_runs")
    assert min(read.accuracies().values()) > 85
    assert re.search(r"lenet5-digits-\w+ (is better than|is worse than|and lenet5)", read.text)
    assert "McNemar p" in read.text
    assert "optimizer.lr" in read.text
    assert len(read.pictures) >= 3
    assert {run.info.status for run in project_copy.runs()} == {"FINISHED"}
