"""`kedro tune`: a search for a better configuration."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fovea.tuning.study import Study, Wish

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # one of a folder too


@click.command()
@click.argument("overrides", nargs=-1)
@click.option("--space", default="default", show_default=True, help="What is searched: conf/tune/NAME.yaml.")
@click.option("--trials", type=click.IntRange(1), default=None, help="Trials in all; else as the space says.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Trials at once.")
@click.option("--study", default=None, help="Name of the search; else one that follows from all that decides it.")
@click.option("--train-best", is_flag=True, help="Then do `kedro run` with what was best, which tests it.")
@click.option(
    "--env", "-e", default=None, help="Kedro's environment; its overrides.yaml takes the place of conf/local's."
)
def command(
    overrides: tuple[str, ...],
    space: str,
    trials: int | None,
    workers: int,
    study: str | None,
    train_best: bool,
    env: str | None,
) -> None:
    r"""Search for a better configuration than `kedro run` with the same OVERRIDES has.

    Optuna proposes trials from a space of parameters; each trains, is judged by the validation pictures, and is ended
    early where others do better. The test pictures are never looked at. Each trial has an MLflow run, below one for the
    whole. The same command goes on where it was stopped; more --trials make a finished search longer.

    The last line that is printed is what was best, as words for `kedro run`, in quotes where a shell needs them.

    \b
      kedro tune
      kedro tune --trials 40 --workers 2 model=deep_mnist
      kedro tune --space mine --train-best
      eval "kedro run $(kedro tune | tail -1)"
    """
    from fovea.commands.outcome import told
    from fovea.commands.run import this_command
    from fovea.config import logs
    from fovea.core.stopping import stoppable
    from fovea.tuning.recipe import run_words
    from fovea.tuning.study import Wish

    logs.configure()
    env = env or os.environ.get("KEDRO_ENV")
    with told(again=this_command()), stoppable():
        found = _search(overrides, space, Wish(study, trials, workers), env)
        words = run_words(env, found.best.overrides)
        _tell(found, words)
        if train_best:
            _train(words)


def _search(overrides: tuple[str, ...], name: str, wish: Wish, env: str | None) -> Study:
    from fovea import tracking
    from fovea.commands.run import this_command
    from fovea.core.errors import UserError
    from fovea.core.places import project_root
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare
    from fovea.settings import CONFIG_LOADER_ARGS
    from fovea.tuning.recipe import recipe_of
    from fovea.tuning.space import read_space
    from fovea.tuning.study import facts_of, tune

    if wish.study is not None and not _NAME.fullmatch(wish.study):
        raise UserError(f"--study={wish.study} is no name; make it of letters, digits, '.', '_' and '-'")
    conf = project_root() / "conf"
    space = read_space(conf, name)
    recipe = recipe_of(space, conf, env, CONFIG_LOADER_ARGS, overrides)
    base = recipe.composed()
    tracking.configure(base.config["tracking"], facts_of(base, overrides, this_command()))
    prepared = prepare(ingest(base.config["data"]), base.config["data"], base.config["prepare"])
    return tune(space, recipe, base, prepared, wish)


def _tell(found: Study, words: Sequence[str]) -> None:
    import logging

    from fovea.core.places import project_root
    from fovea.tuning.results import TABLE

    log = logging.getLogger("fovea")
    root = project_root()
    look = "make ui" if (root / "Makefile").is_file() else "kedro ui"
    log.info("table   %s (and pictures)", (found.folder / TABLE).relative_to(root))
    log.info("runs    %s  (this one is %s)", look, found.name)
    log.info("The best trial, as words for kedro run:")
    click.echo(shlex.join(words))


def _train(words: Sequence[str]) -> None:
    """Runs the pipeline in a process of its own; the training is taken up from the trial's work folder."""
    from fovea.core.places import project_root

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "fovea", "run", *words], cwd=project_root(), check=False
    )
    if done.returncode:
        raise click.exceptions.Exit(done.returncode)
