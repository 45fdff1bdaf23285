"""The real commands in their own processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

import fovea.cli


def _run(root: Path, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **changes}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_kedro_finds_the_commands(own_project: Path) -> None:
    done = _run(own_project, "kedro", "run", "modle=x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: unknown group or key 'modle'; did you mean 'model'?\n"
    said = _run(own_project, "kedro", "--help").stdout
    for name in ("config", "dvc-yaml", "tracking-sync", "ui", "catalog", "registry", "ipython"):
        assert name in said


def test_the_console_script_from_anywhere(own_project: Path, tmp_path: Path) -> None:
    done = _run(own_project, "fovea", "config", "seed=3", "--origin")
    assert done.returncode == 0, done.stderr
    assert "# command line" in done.stdout
    (own_project / "deep").mkdir()
    below = _run(own_project / "deep", "fovea", "config", "seed=3", "--origin")
    assert (below.stdout, below.stderr) == (done.stdout, "")
    away = _run(tmp_path, "fovea", "config", FOVEA_ROOT=str(own_project))
    assert away.returncode == 0, away.stderr
    nowhere = _run(tmp_path, "fovea", "config")
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert nowhere.stderr.startswith("Error: '")
    assert "is not inside a Fovea project" in nowhere.stderr


def test_kedro_from_a_folder_below(own_project: Path) -> None:
    (own_project / "deep").mkdir()
    done = _run(own_project / "deep", "kedro", "run", "modle=x")
    assert (done.returncode, done.stderr) == (2, "Error: unknown group or key 'modle'; did you mean 'model'?\n")


def test_a_packaged_project_is_run_by_the_same_command() -> None:
    assert isinstance(fovea.cli.run, click.Command)
    assert fovea.cli.run.name == "run"
    with pytest.raises(AttributeError):
        _ = fovea.cli.no_such_command


def test_commands_are_imported_when_they_are_asked_for(own_project: Path) -> None:
    code = (
        "import sys, fovea.cli as cli\n"
        "assert cli.cli.list_commands(None) == sorted(cli.COMMANDS)\n"
        "print([name for name in sys.modules if name.startswith(('fovea.', 'kedro', 'torch'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=own_project, capture_output=True, text=True, check=True)
    assert done.stdout == "['fovea.cli']\n"


def test_a_package_leaves_a_users_own_settings_out(
    own_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_project / "conf" / "local" / "overrides.yaml").write_text("tracking: {uri: 'http://me:secret@host'}\n")
    (own_project / "dist").mkdir()
    monkeypatch.setenv("TAR_OPTIONS", "")
    tar = [
        "tar",
        "--exclude=local/*.yml",
        "-czf",
        "dist/conf.tar.gz",
        "--directory=.",
        "conf",
    ]
    monkeypatch.setattr(
        "kedro.framework.cli.project.call",
        lambda command, **_: subprocess.run(tar, check=True) if command[0] == "tar" else None,
    )
    metadata = SimpleNamespace(project_path=own_project, package_name="fovea")
    result = CliRunner().invoke(fovea.cli.cli, ["package"], obj=metadata)
    assert result.exit_code == 0, result.stderr
    with tarfile.open(own_project / "dist" / "conf.tar.gz") as archive:
        names = archive.getnames()
    assert "conf/local/README.md" in names
    assert "conf/local/overrides.yaml" not in names
