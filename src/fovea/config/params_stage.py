"""The first stage of dvc.yaml: composes `conf/` into params.yaml at the project's root.

`dvc repro` alone never composes, so without this stage a change of `conf/` would change nothing. Under `dvc exp run`
DVC has composed the file itself, with the values of `-S`, and the stage leaves it as it is.

Run as `python -m fovea.config.params_stage`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fovea.config.compose import compose
from fovea.config.groups import LAYER, LOCAL
from fovea.core.errors import FoveaError, UserError
from fovea.core.files import atomic_file
from fovea.core.places import project_root

_FILE = "params.yaml"


def dump(config: Mapping[str, Any]) -> str:
    """The text of params.yaml: the same bytes as DVC writes for the same composition."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))


def write(root: Path) -> str:
    """Composes and writes `<root>/params.yaml`, or leaves it to DVC.

    Returns:
        What was done, in one line.

    Raises:
        UserError: `conf/` cannot be composed or is not valid.
    """
    path = root / _FILE
    experiment = os.environ.get("DVC_EXP_NAME")
    if experiment:
        if not path.is_file():
            raise UserError(
                f"{_FILE} is missing; let DVC compose it (dvc config hydra.enabled true) and run dvc exp run again"
            )
        return f"{_FILE} stays as DVC composed it for experiment '{experiment}'"
    from fovea.config.schema import Config, parse

    config = compose(root / "conf").config
    parse(Config, config, "")
    changed = _changed(path, config)
    with atomic_file(path) as temporary:
        temporary.write_text(dump(config), encoding="utf-8")
    return f"{_FILE} written from conf/{changed}{_environment_note(root)}"


def _changed(path: Path, config: Mapping[str, Any]) -> str:
    """The keys that the new file changes: a value given by an earlier `dvc exp run -S` is among them."""
    from omegaconf import OmegaConf

    from fovea.config.origin import leaves

    try:
        old = dict(leaves(cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(path)))))
    except Exception:  # none there, or not readable: it is replaced in any case
        return ""
    new = dict(leaves(config))
    keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    shown = [_change(key, old.get(key), new.get(key)) for key in keys[:5]]
    more = f", and {len(keys) - 5} more" if len(keys) > 5 else ""
    return f" ({', '.join(shown)}{more})" if keys else ", unchanged"


def _change(key: str, old: Any, new: Any) -> str:
    """An address may hold a password, and is not shown."""
    return f"{key} changed" if "://" in f"{old} {new}" else f"{key} {old} -> {new}"


def _environment_note(root: Path) -> str:
    env = os.environ.get("KEDRO_ENV", LOCAL)
    if env == LOCAL or not (root / "conf" / env / f"{LAYER}.yaml").is_file():
        return ""
    return f"; conf/{env}/{LAYER}.yaml is not in it, as DVC knows no environments"


def main() -> int:
    """Runs the stage; returns the exit code."""
    try:
        line = write(project_root())
    except FoveaError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
