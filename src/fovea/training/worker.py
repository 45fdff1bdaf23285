"""Trains what a work folder's `resolved.yaml` says, without Kedro, DVC or Hydra.

One process:    python -m fovea.training.worker data/06_models/_work/NAME/resolved.yaml [OUTPUT]

The trained model goes to OUTPUT (default: `model` beside the file).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from fovea.core.errors import FoveaError, Interrupted, UserError
from fovea.shards.folds import reopen
from fovea.training.job import TrainJob
from fovea.training.stage import train
from fovea.training.workfolder import let_go


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the worker; returns the process's exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(words) not in (1, 2):
            raise UserError("usage: python -m fovea.training.worker RESOLVED.yaml [OUTPUT]")
        _work(Path(words[0]), Path(words[1]) if len(words) == 2 else Path(words[0]).with_name("model"))
    except (FoveaError, Interrupted) as error:
        logging.getLogger("fovea").error("%s", error)
        return error.exit_code
    return 0


def _work(resolved: Path, output: Path) -> None:
    try:
        content = yaml.safe_load(resolved.read_text())
        sections, address = content["job"], {"prepared": content["prepared"], "fold": content.get("fold")}
    except OSError as error:
        raise UserError(f"cannot read '{resolved}' ({error.strerror}); give a work folder's resolved.yaml") from None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"'{resolved}' is not a resolved job ({error}); give a work folder's resolved.yaml") from None
    model = train(TrainJob.parse(sections), reopen(address))
    model.publish(output)
    let_go(remove=False)


if __name__ == "__main__":
    sys.exit(main())
