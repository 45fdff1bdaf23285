"""What every test may use."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Several tests run at once; many threads in each would only wait for one another. torch reads it when imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A suite started in the background inherits "ignore Ctrl-C", and so would every command that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of this checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data samples: `FOVEA_TEST_DATA`, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("FOVEA_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "mnist").is_dir():
        pytest.skip(f"the real data samples are not at {folder}; set FOVEA_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def ddp() -> Callable[..., list[Any]]:
    """Runs a function in several processes: `ddp(2, function, *arguments)`, see `tests/ddp.py`."""
    spec = importlib.util.spec_from_file_location("ddp", PROJECT / "tests" / "ddp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    launch: Callable[..., list[Any]] = module.launch
    return launch


@pytest.fixture(autouse=True)
def _no_outside_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a developer's own settings out of the tests."""
    for name in (
        "FOVEA_MIRROR",
        "FOVEA_ROOT",
        "DVC_STAGE",
        "DVC_ROOT",
        "DVC_EXP_NAME",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_RUN_ID",
        "KEDRO_ENV",
    ):
        monkeypatch.delenv(name, raising=False)
    # A session of tracking that another test configured would take the runs of this one.
    if "fovea.tracking.session" in sys.modules:
        monkeypatch.setattr("fovea.tracking.session._session", None)
