from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITES = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>'


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("records", "line", "code"),
    [
        ([(5, 0, 0, 1), (7, 0, 0, 0)], "11 passed, 0 failed, 1 skipped", 0),
        ([(5, 1, 1, 1), (2, 0, 0, 0)], "4 passed, 2 failed, 1 skipped", 1),
        ([], "0 passed, 0 failed, 0 skipped", 1),
    ],
)
def test_totals_of_junit_records(
    project: Path, tmp_path: Path, records: list[tuple[int, ...]], line: str, code: int
) -> None:
    for number, counts in enumerate(records):
        (tmp_path / f"{number}.xml").write_text(SUITES.format(*counts))
    done = _run(sys.executable, project / "scripts" / "junit_totals.py", tmp_path)
    assert (done.stdout.strip(), done.returncode) == (line, code)


def test_a_notebook_with_outputs_is_named_and_stripped(project: Path, tmp_path: Path) -> None:
    script = project / "scripts" / "strip_notebooks.py"
    cell = {
        "cell_type": "code",
        "id": "a",
        "source": ["1"],
        "metadata": {"x": 1},
        "execution_count": 3,
        "outputs": [{}],
    }
    book = tmp_path / "book.ipynb"
    book.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    refused = _run(sys.executable, script, "--check", book)
    assert (refused.returncode, str(book) in refused.stderr) == (1, True)
    assert _run(sys.executable, script, book).returncode == 0
    assert _run(sys.executable, script, "--check", book).returncode == 0
    kept = json.loads(book.read_text())["cells"][0]
    assert (kept["source"], kept["outputs"], kept["execution_count"]) == (["1"], [], None)


def test_a_lock_older_than_the_dependencies_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/lock.py", "pyproject.toml", "requirements.lock"):
        shutil.copy(project / name, tmp_path / name)
    assert _run(sys.executable, tmp_path / "scripts" / "lock.py", "--check").returncode == 0
    text = (project / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text.replace('"dvc>=3.67,<4"', '"dvc>=3.68,<4"'))
    refused = _run(sys.executable, tmp_path / "scripts" / "lock.py", "--check")
    assert (refused.returncode, "run: make lock" in refused.stderr) == (1, True)


def test_the_lock_pins_every_package_by_hash_and_names_no_index(project: Path) -> None:
    lines = (project / "requirements.lock").read_text().splitlines()
    pinned = [number for number, line in enumerate(lines) if line[:1].isalnum()]
    assert len(pinned) > 100
    assert all("==" in lines[number] and "--hash=sha256:" in lines[number + 1] for number in pinned)
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


def test_setup_refuses_a_python_that_does_not_fit(project: Path) -> None:
    refused = _run("sh", project / "scripts" / "setup.sh", PYTHON="/bin/false")
    assert refused.returncode == 2
    sentence = "make: PYTHON=/bin/false is not a Python 3.11, 3.12 or 3.13 with the venv module; give the path of one"
    assert refused.stderr == f"{sentence} that is\n"


def test_setup_leaves_an_environment_alone_that_belongs_to_another_folder(project: Path, tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    shutil.copytree(project / "scripts", mine / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(project / name, mine / name)
    theirs.mkdir()
    (theirs / "installed.json").write_text('{"root": "/elsewhere"}')
    (mine / ".venv").symlink_to(theirs)
    refused = _run("sh", mine / "scripts" / "setup.sh")
    assert refused.returncode == 2
    assert refused.stderr.startswith("make: .venv is a link to the environment of /elsewhere, which stays as it is")
    assert [file.name for file in theirs.iterdir()] == ["installed.json"]
