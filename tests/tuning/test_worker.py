"""How a worker of a search ends that cannot work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def _worker(root: Path, plan: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fovea.tuning.worker", plan]
    environment = {**os.environ, "FOVEA_ROOT": str(root)}
    environment.pop("FOVEA_TUNE_PARENT", None)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("logged", [True, False])
def test_what_nobody_expected_is_one_sentence_and_in_the_log(project: Path, tmp_path: Path, logged: bool) -> None:
    (tmp_path / "conf/base").mkdir(parents=True)
    shutil.copy(project / "conf/base/logging.yml", tmp_path / "conf/base")
    (tmp_path / "pyproject.toml").touch()
    if not logged:
        (tmp_path / "logs").write_text("in the way")
    done = _worker(tmp_path, "nowhere.json")
    assert (done.returncode, done.stdout) == (1, "")
    sentence = "ERROR: tune: FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.json'\n"
    assert done.stderr.startswith(sentence)
    kept = (tmp_path / "logs/fovea.log").read_text() if logged else done.stderr
    assert "Traceback (most recent call last)" in kept
    assert (done.stderr == sentence) == logged
