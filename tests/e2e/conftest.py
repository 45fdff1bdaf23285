"""Copies of the project, in which the real commands run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SMALL = """\
trainer:
  max_epochs: 1
  limit_batches: 4
evaluate:
  gallery: 4
"""
"""Enough of a training to have numbers: four batches, one epoch."""

_FOREIGN = ("FOVEA_", "DVC_", "MLFLOW_", "KEDRO_", "PYTEST_", "GIT_")
_HIDDEN = {"_work", ".shards"}
_DROPPED = ("PYTHONPATH", "VIRTUAL_ENV", "COLUMNS")


@dataclass(frozen=True)
class Project:
    """A copy of the project in a git repository of its own.

    Attributes:
        root: Its folder.
        environment: The environment of its commands: no settings of the user's own, the Python that runs the tests.
    """

    root: Path
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the root and gives what it said.

        Args:
            command: The program and its arguments; programs of the environment go by their names.
            check: Fail, showing all output, unless the exit code is 0.
            changes: Variables of the environment for this command.
        """
        done = subprocess.run(
            command, cwd=self.root, env=self.environment | changes, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False
            )
        return done

    def start(self, *command: str, **changes: str) -> subprocess.Popen[str]:
        """Starts a command as the leader of a process group; its output goes to `output.log` beside the root."""
        with (self.root.parent / "output.log").open("w") as log:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment | changes,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )

    def settings(self, text: str) -> None:
        """Sets conf/local/overrides.yaml, which every command composes."""
        (self.root / "conf" / "local" / "overrides.yaml").write_text(text)

    def commit(self, message: str) -> None:
        """Commits everything that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--no-verify", "--message", message)

    def metrics(self) -> dict[str, Any]:
        """The metrics of the last evaluation."""
        content: dict[str, Any] = json.loads((self.root / "data/08_reporting/metrics.json").read_text())
        return content

    def outputs(self) -> dict[str, str]:
        """The digest of every output that a stage after ingest has published; the lists of bad pictures are none."""
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for stage in ("03_primary", "05_model_input", "06_models", "07_model_output", "08_reporting")
            for path in sorted((self.root / "data" / stage).rglob("*"))
            if path.is_file()
            and not path.name.startswith(".")
            and not _HIDDEN & set(path.parts)
            and not path.name.endswith("-rejected.csv")
        }

    def temporaries(self) -> list[str]:
        """Files and folders that a command which ended must not leave."""
        return sorted(str(path.relative_to(self.root)) for path in (self.root / "data").rglob(".*.tmp"))

    def refused(self, *command: str, code: int, before: dict[str, str], **changes: str) -> str:
        """Runs what must fail, and gives the sentence that it fails with.

        Args:
            command: The program and its arguments.
            code: The exit code that it must have.
            before: The outputs, which it must leave as they are.
            changes: Variables of the environment for this command.
        """
        done = self.run(*command, check=False, **changes)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        sentence: str = done.stderr.splitlines()[-1]
        assert [line for line in said.splitlines() if "Error" in line] == [sentence]
        assert self.temporaries() == []
        assert self.outputs() == before
        return sentence

    def runs(self) -> list[Any]:
        """All trainings of the project's own MLflow database, newest first, read through MLflow's client."""
        if not (self.root / "mlflow.db").is_file():
            return []
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{self.root}/mlflow.db")
        found = [one for one in client.search_experiments() if not one.name.endswith("-data")]
        return list(client.search_runs([one.experiment_id for one in found]))


def _copy(source: Path, target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def _environment(root: Path, home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN) and key not in _DROPPED}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root / "src"),  # the copy's code, not that of the installed project
        "PYTHONDONTWRITEBYTECODE": "1",
        "SHELL": "/bin/sh",
        "COLUMNS": "200",
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.fixture(scope="session")
def make_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Makes a copy of the project with its uncommitted changes: `make_project(name, settings="")`.

    `settings` is the content of conf/local/overrides.yaml.
    """

    def make(name: str, settings: str = "") -> Project:
        home = tmp_path_factory.mktemp(name)
        root = home / "project"
        root.mkdir()
        _copy(project, root)
        made = Project(root, _environment(root, home))
        made.run("git", "init", "--quiet", "--initial-branch=main")
        made.run("git", "config", "user.name", "Fovea tests")
        made.run("git", "config", "user.email", "tests@fovea.invalid")
        made.commit("the project")
        if settings:
            made.settings(settings)
        return made

    return make


@pytest.fixture
def fresh_project(make_project: Callable[..., Project]) -> Project:
    """A copy of the project as a user finds it, for one test."""
    return make_project("fresh")


@pytest.fixture
def small_project(make_project: Callable[..., Project]) -> Project:
    """A copy whose trainings see four batches, for one test."""
    return make_project("small", SMALL)


@pytest.fixture
def plain_user() -> list[str]:
    """What stands before a command for whose process the permissions of files count."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read and write everything, and there is no setpriv to take that away")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mounts something over a folder until the test ends."""
    mounted: list[Path] = []

    def call(folder: Path, *options: str) -> None:
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("mounting a file system needs root")
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this system does not allow mounting: {done.stderr.strip()}")
        if folder not in mounted:
            mounted.append(folder)

    yield call
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
