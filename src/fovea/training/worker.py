"""Trains what a work folder's `resolved.yaml` says, without Kedro, DVC or Hydra.

One process:        python -m fovea.training.worker data/06_models/_work/NAME/resolved.yaml [OUTPUT] [--fresh]
Several:            python -m fovea.training.launcher data/06_models/_work/NAME/resolved.yaml --processes 2
By torch's own:     torchrun --nproc-per-node=2 -m fovea.training.worker data/06_models/_work/NAME/resolved.yaml

The trained model stays in the work folder, where the `kedro run` of the same configuration takes it up; OUTPUT is a
second place for it. The state of training is kept as in `kedro run`: the same command goes on where it was stopped;
with --fresh it starts over. An earlier model at OUTPUT is replaced; a folder with anything else is refused.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fovea import tracking
from fovea.config import logs
from fovea.core.digest import data_digest, tree_digest
from fovea.core.errors import UserError
from fovea.core.places import FRESH
from fovea.core.processes import die_with
from fovea.core.stopping import stoppable
from fovea.training.failures import exit_code, write_report
from fovea.training.job import TrainJob
from fovea.training.launcher import HELD, PARENT
from fovea.training.ranks import Ranks
from fovea.training.result import FACTS
from fovea.training.workfolder import is_fresh, let_go

log = logging.getLogger("fovea")


@dataclass(frozen=True)
class Order:
    """What `resolved.yaml` says.

    Attributes:
        job: What to train.
        address: On what; see `fovea.shards.folds.reopen`.
        tracking: Where the MLflow run is kept and where it comes from, as `fovea.tracking.exported` gives it.
        tags: Of the run.
    """

    job: TrainJob
    address: Mapping[str, Any]
    tracking: Mapping[str, Any] | None
    tags: Mapping[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the worker; returns the process's exit code."""
    if os.environ.get(PARENT):
        die_with(int(os.environ[PARENT]))
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with stoppable():
            ranks = Ranks.here()
            if not ranks.is_first:
                log.setLevel(logging.WARNING)  # one process speaks for all
            if "--fresh" in words:
                words.remove("--fresh")
                os.environ[FRESH] = "1"
            if len(words) not in (1, 2):
                raise UserError("usage: python -m fovea.training.worker RESOLVED.yaml [OUTPUT] [--fresh]")
            output = Path(words[1]) if len(words) == 2 else None
            if output is not None:
                _check_output(output)
            _work(read_job(Path(words[0])), ranks, output)
    except BaseException as error:
        write_report(error)
        code = exit_code(error)
        log.debug("the worker ended with exit code %d", code, exc_info=error)
        if not os.environ.get(PARENT):
            log.error("%s", error if str(error) else type(error).__name__)
        return code
    return 0


def speak() -> None:
    """Lets this process log as the project's commands do; outside a project, plainly."""
    try:
        logs.configure(verbose=os.environ.get("FOVEA_VERBOSE") == "1")
    except UserError:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


def read_job(resolved: Path) -> Order:
    """Reads a work folder's `resolved.yaml`.

    Raises:
        UserError: There is none, or it is something else.
    """
    try:
        content = yaml.safe_load(resolved.read_text())
        sections, address = content["job"], {"prepared": content["prepared"], "fold": content.get("fold")}
    except OSError as error:
        raise UserError(f"cannot read '{resolved}' ({error.strerror}); give a work folder's resolved.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise UserError(f"'{resolved}' is not a resolved job ({error}); give a work folder's resolved.yaml") from None
    return Order(TrainJob.parse(sections), address, content.get("tracking"), content.get("tags") or {})


def _check_output(output: Path) -> None:
    """Refuses a place where something else lies than a model: what is there is replaced as a whole."""
    is_model = (output / FACTS).is_file()
    is_empty = not any(output.iterdir()) if output.is_dir() else not output.exists()
    if not is_model and not is_empty:
        raise UserError(
            f"OUTPUT '{output}' is there already and is no trained model, which would replace all of it; give a folder "
            "that does not exist"
        )


def _work(order: Order, ranks: Ranks, output: Path | None) -> None:
    from fovea.shards.folds import reopen
    from fovea.training.stage import train_here, work_of
    from fovea.training.strategies import check_alike, joined

    if order.tracking is not None:
        tracking.configure_exported(order.tracking)
    prepared = reopen(order.address)
    is_held = os.environ.get(HELD) == "1"
    try:
        with joined(ranks, order.job.trainer):
            if ranks.is_first and not is_held and is_fresh():
                work_of(order.job, prepared).take()  # before others look into it: the next line lets all meet
            check_alike(_facts(order, prepared.meta.digest))
            model = train_here(order.job, prepared, order.tags, ranks, is_held=is_held)
        if output is not None and model is not None:
            model.publish(output)
    finally:
        let_go(remove=False)


def _facts(order: Order, data: str) -> dict[str, str]:
    """What must be the same in every process."""
    import torch

    return {
        "code": tree_digest(Path(__file__).parents[1], "*.py"),
        "config": data_digest(order.job.plain()),
        "data": data,
        "version of torch": torch.__version__,
    }


if __name__ == "__main__":
    speak()
    sys.exit(main())
