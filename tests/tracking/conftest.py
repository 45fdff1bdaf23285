"""A project of its own for each test, and a way to read its runs back."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from fovea import tracking
from fovea.tracking import reach, session, store, uri

CONFIG: dict[str, Any] = {
    "seed": 0,
    "model": {"name": "lenet5", "init": None},
    "optimizer": {"name": "adam", "lr": 0.002, "betas": [0.9, 0.999]},
    "tracking": {"experiment": "fovea", "uri": None, "on_error": "continue"},
}
FACTS = tracking.RunFacts(
    config=CONFIG,
    choices={"model": "lenet5", "data": "digits"},
    overrides=("optimizer.lr=0.002",),
    command="kedro run optimizer.lr=0.002",
)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("empty") / uri.DATABASE
    store._create(file)
    return file


@pytest.fixture
def bare_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project without a database; what a test leaves open is forgotten."""
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    monkeypatch.setattr(reach, "_PATIENCE", 0.2)
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(session, "_session", None)
    yield root
    tracking.close("KILLED")


@pytest.fixture
def root(bare_root: Path, empty_database: Path) -> Path:
    """A project with a database."""
    shutil.copy(empty_database, bare_root / uri.DATABASE)
    return bare_root


@pytest.fixture
def record(root: Path) -> Path:
    return root / "data/06_models/_work/lenet5-digits-abc/run.json"


@pytest.fixture
def client(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root / uri.DATABASE}")


@pytest.fixture
def runs(client: MlflowClient) -> Callable[[], list[Run]]:
    def read() -> list[Run]:
        found = client.get_experiment_by_name("fovea")
        return list(client.search_runs([found.experiment_id], order_by=["start_time"])) if found else []

    return read


@pytest.fixture
def journals(root: Path) -> Callable[[], list[Path]]:
    return lambda: sorted((root / "data/08_reporting/_untracked").glob("*.jsonl"))


@pytest.fixture
def locked(root: Path) -> Iterator[sqlite3.Connection]:
    """Another program's lock on the database; closing the connection frees it."""
    connection = sqlite3.connect(root / uri.DATABASE, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


@pytest.fixture
def config() -> dict[str, Any]:
    return CONFIG


@pytest.fixture
def configure() -> Callable[..., None]:
    """Begins a session of this process, as a command of its own would; settings of `tracking` may differ."""

    def begin(**settings: Any) -> None:
        tracking.configure({**CONFIG["tracking"], **settings}, FACTS)

    return begin
