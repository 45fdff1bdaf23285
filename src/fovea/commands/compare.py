"""`kedro compare`: what differs between runs, and whether one is better by more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fovea.comparison.past import PastRun

FOLDER = "data/08_reporting/compare"


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN...")
@click.option("--latency", "timed", is_flag=True, help="Measure the time for one picture, now, on this CPU.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Coverage of the interval of the difference.",
)
@click.option("--output", type=click.Path(path_type=Path), default=None, help=f"Folder for the page; else in {FOLDER}.")
@click.option("--env", "-e", default=None, help="Kedro's environment.")
def command(runs: tuple[str, ...], timed: bool, confidence: float, output: Path | None, env: str | None) -> None:
    r"""Compare runs, each with the first.

    A RUN is the name or the id of an MLflow run (or how the id begins), the folder of a trained model, or `latest`.
    Printed, and written as an HTML page: differing parameters, metrics with intervals, paired tests on the same test
    pictures, the pictures that one run has right and the other wrong, cost, and differences of data and code.

    \b
      kedro compare lenet5-digits-d557b925 lenet5-digits-5541feb8
      kedro compare lenet5-digits-d557b925 latest --latency
    """
    from fovea.commands.composed import composed
    from fovea.config import logs
    from fovea.core.errors import UserError

    if len(runs) < 2:
        given = f"only '{runs[0]}' is named" if runs else "no run is named"
        raise UserError(f"a comparison needs two runs, and {given}; `kedro ui` shows which there are")
    if output is not None and output.exists() and not output.is_dir():
        raise UserError(f"--output={output} is a file; name a folder")
    logs.configure()
    from fovea import tracking
    from fovea.comparison import fetch

    tracking.configure(composed((), env)["tracking"])
    found = [fetch.find(named) for named in runs]
    ids = [one.run_id for one in found]
    for place, run_id in enumerate(ids):
        if run_id in ids[:place]:
            first = runs[ids.index(run_id)]
            raise UserError(f"'{first}' and '{runs[place]}' are the same run, {run_id}; name another one")
    _tell([fetch.read(one) for one in found], confidence, timed, output)


def _tell(runs: Sequence[PastRun], confidence: float, timed: bool, output: Path | None) -> None:
    import logging
    from dataclasses import replace

    from rich.console import Console

    from fovea.comparison import page, terminal
    from fovea.comparison.comparison import compare
    from fovea.comparison.latency import latencies
    from fovea.comparison.thumbnails import shower
    from fovea.core.places import MEMBERS, project_root

    root = project_root()
    comparison = compare(runs, confidence)
    if timed:
        comparison = replace(comparison, latencies=latencies([run.run_id for run in runs], root / MEMBERS))
    console = Console(highlight=False)
    for part in terminal.rendered(comparison):
        console.print(part)
    for warning in comparison.warnings():
        logging.getLogger("fovea").warning("compare: %s", warning)
    folder = output or root / FOLDER / "-".join(run.run_id[:8] for run in runs)
    written = page.write(comparison, folder, shower(runs[0].tested_digest or ""))
    click.echo(f"The page is {written}")
