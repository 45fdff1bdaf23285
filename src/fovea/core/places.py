"""Where things lie, relative to the project's root."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from fovea.core.errors import UserError

RAW = Path("data/01_raw")
PREPARED = Path("data/03_primary")
CACHE = Path("data/05_model_input/.cache")
MODELS = Path("data/06_models")
WORK = MODELS / "_work"
MEMBERS = MODELS / "_members"

FRESH = "FOVEA_FRESH"
"""The variable that lets trainings start over."""

WORK_FOLDER = "FOVEA_WORK"
"""The variable that names another folder than `WORK` for trainings under way."""


def project_root() -> Path:
    """The folder that holds `conf/` and `pyproject.toml`.

    `FOVEA_ROOT` names it; without that it is the nearest such folder at or above the working directory. Inside a stage
    of `dvc exp run --queue` it is the experiment's temporary copy.

    Raises:
        UserError: There is no such folder.
    """
    named = os.environ.get("FOVEA_ROOT")
    here = Path(named) if named else Path.cwd()
    for folder in (here, *here.parents) if not named else (here,):
        if (folder / "conf").is_dir() and (folder / "pyproject.toml").is_file():
            return folder.resolve()
    raise UserError(
        f"'{here}' is not inside a Fovea project (no conf/ and pyproject.toml); change to one or set FOVEA_ROOT"
    )


def shared_root() -> Path:
    """The root that all copies of the project share: `DVC_ROOT` inside a DVC stage, else `project_root()`.

    The tracking database and downloaded archives lie here, so that a queued experiment does not lose them with its
    copy.
    """
    dvc_root = os.environ.get("DVC_ROOT")
    return Path(dvc_root).resolve() if dvc_root else project_root()


def from_home(text: str) -> Path:
    """A path as a user writes it, which may begin with the home folder: ``~``, or ``~name`` of another user.

    Where there is no such user (a picture may be called ``~$IMG_1.jpg``) it stays as it is written.
    """
    path = Path(text)
    with suppress(RuntimeError):
        return path.expanduser()
    return path


def work_root() -> Path:
    """The folder of the trainings under way: `FOVEA_WORK`, else `data/06_models/_work` of the project."""
    named = os.environ.get(WORK_FOLDER)
    return Path(named).resolve() if named else project_root() / WORK
