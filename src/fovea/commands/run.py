"""`kedro run`: Kedro's own command, with overrides of the configuration behind it and one voice at its end."""

from __future__ import annotations

import copy
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import _config_file_callback, _split_params, split_string
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fovea.commands.outcome import told
from fovea.config import logs
from fovea.config.groups import groups
from fovea.config.runtime_params import OVERRIDES_KEY, choice_refused, list_refused
from fovea.core.errors import UserError, nearest
from fovea.core.places import FRESH, project_root
from fovea.core.processes import die_with
from fovea.core.stopping import stoppable
from fovea.pipeline_registry import NAMES

_RUNNER = "SequentialRunner"
_kedro_callback = cast("Callable[..., Any]", kedro_run.callback)
HELP = """Run a pipeline; without --pipelines: fetch, prepare, train, evaluate.

OVERRIDES change the configuration of this run. GROUP=MEMBER takes another file of conf/GROUP, KEY=VALUE another value:

\b
  kedro run model=deep_mnist
  kedro run data=mnist trainer.max_epochs=3 optimizer=sgd optimizer.lr=0.1
  kedro run experiment=mnist_fast seed=1
  kedro run debug=fast
  kedro run 'data.mean=[0.5]'

`kedro config` with the same overrides prints the configuration that they make.
"""


class _RunCommand(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the groups and their members, as they stand in conf/ at the moment."""
        try:
            known = groups(project_root() / "conf")
        except (UserError, OSError):
            return
        with formatter.section("Groups and their members"):
            formatter.write_dl([(group, ", ".join(members)) for group, members in known.items()])


def _plain_params(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuses what Kedro's splitting of ``--params`` at commas would lose without a word."""
    for item in split_string(ctx, param, value) if isinstance(value, str) else []:
        key, _, text = (part.strip() for part in item.partition("="))
        if text.startswith(("[", "{")):
            raise UserError(list_refused(key))
        if key in groups(project_root() / "conf"):
            raise UserError(choice_refused(key, text))
    return _split_params(ctx, param, value)


def _options_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Kedro's reading of ``--config``, told in one sentence where it cannot be read."""
    try:
        _config_file_callback(ctx, param, value)
    except (
        YAMLError,
        OmegaConfBaseException,
        LookupError,
        TypeError,
        AttributeError,
        OSError,
        UnicodeDecodeError,
    ) as error:
        raise UserError(f"--config={value} is not a YAML file with the options of a run below 'run:'") from error
    return value


_CALLBACKS = {"params": _plain_params, "config": _options_file}


def _parameters() -> Iterable[click.Parameter]:
    for param in kedro_run.params:
        ours = copy.copy(param)
        ours.callback = _CALLBACKS.get(param.name or "", param.callback)
        yield ours
    yield click.Option(["--verbose", "-v"], is_flag=True, help="Show everything that is logged, and tracebacks.")
    yield click.Option(
        ["--fresh"], is_flag=True, help="Start training over, discarding the checkpoints of this config."
    )
    yield click.Argument(["overrides"], nargs=-1)


def _run(*, overrides: tuple[str, ...], params: dict[str, Any], verbose: bool, fresh: bool, **options: Any) -> Any:
    with told(again=this_command()), _fresh() if fresh else nullcontext():
        logs.configure(verbose=verbose)
        _check(options)
        lines = [*params.get(OVERRIDES_KEY, []), *overrides]
        runtime_params = {**params, OVERRIDES_KEY: lines} if lines else params
        with stoppable():
            if os.environ.get("DVC_STAGE"):
                die_with(os.getppid(), signal.SIGTERM)  # DVC that is killed tells nobody
            return _kedro_callback(params=runtime_params, **options)


@contextmanager
def _fresh() -> Iterator[None]:
    """Lets the trainings of the block start over, in whichever process."""
    before = os.environ.get(FRESH)
    os.environ[FRESH] = "1"
    try:
        yield
    finally:
        os.environ.pop(FRESH)
        if before is not None:
            os.environ[FRESH] = before


def _check(options: dict[str, Any]) -> None:
    """Refuses what Kedro offers and a run here cannot take.

    Raises:
        UserError: Another runner than the sequential one, asynchronous loading, or a pipeline that is not registered.
    """
    runner = (options["runner"] or _RUNNER).removeprefix("kedro.runner.")
    if runner in ("ParallelRunner", "ThreadRunner"):
        raise UserError(
            f"--runner={runner} is not available: stages depend on each other and use all cores; leave it out"
        )
    if runner != _RUNNER and "." not in runner:
        raise UserError(f"unknown runner '{runner}'{nearest(runner, [_RUNNER])}")
    if options["is_async"] or options["runner_params"].get("is_async"):
        raise UserError("--async is not available: data between stages are folders that load at once; leave it out")
    for name in filter(None, [options["pipeline"], *options["pipelines"]]):
        if name not in NAMES:
            raise UserError(f"unknown pipeline '{name}'{nearest(name, NAMES)}")


def this_command() -> str:
    """The command line of this process, or of the DVC command that started it."""
    if os.environ.get("DVC_STAGE"):
        return "dvc exp run" if os.environ.get("DVC_EXP_NAME") else "dvc repro"
    program = Path(sys.argv[0]).name
    words = [word for word in sys.argv[1:] if word != "--fresh"]  # what goes on does not start over again
    return shlex.join(["python", "-m", "fovea", *words] if program == "__main__.py" else [program, *words])


command = _RunCommand(
    name="run",
    params=list(_parameters()),
    callback=_run,
    help=HELP,
    short_help="Run a pipeline with overrides of the configuration.",
)
