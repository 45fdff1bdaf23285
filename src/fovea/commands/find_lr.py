"""`kedro find-lr`: a learning rate for this network and these data, from a training of some steps."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = "data/08_reporting/find_lr"
_Rate = click.FloatRange(min=0, min_open=True)


@click.command("find-lr")
@click.argument("overrides", nargs=-1)
@click.option("--min", "low", type=_Rate, default=1e-6, show_default=True, help="The first rate.")
@click.option("--max", "high", type=_Rate, default=10.0, show_default=True, help="The last rate.")
@click.option("--steps", type=click.IntRange(20, 10_000), default=100, show_default=True, help="Training steps.")
@click.option("--output", type=click.Path(path_type=Path), default=None, help=f"Folder for the files; else {FOLDER}.")
@click.option(
    "--env", "-e", default=None, help="Kedro's environment; its overrides.yaml takes the place of conf/local's."
)
def command(
    overrides: tuple[str, ...], low: float, high: float, steps: int, output: Path | None, env: str | None
) -> None:
    r"""Find a learning rate for what `kedro run` with the same OVERRIDES would train.

    The rate grows from --min to --max while some steps are trained (Smith 2017); the training ends where the loss runs
    away. The suggestion is the rate at which the loss falls fastest. Data that are not prepared yet are prepared. No
    model is kept, and no MLflow run is made.

    \b
      kedro find-lr
      kedro find-lr data=mnist model=lenet5 optimizer=sgd
      kedro run $(kedro find-lr | tail -1)
    """
    from fovea.commands.composed import prepared_job
    from fovea.config import logs
    from fovea.core.errors import RunError, UserError
    from fovea.core.places import project_root
    from fovea.core.stopping import stoppable

    if low >= high:
        raise UserError(f"--min={low:g} is not below --max={high:g}; choose rates in rising order")
    logs.configure()
    with stoppable():
        job, prepared = prepared_job(overrides, env)
        from fovea.inspection.lr_chart import write
        from fovea.training.lr_range import Ramp, find

        found = find(job, prepared, Ramp(low, high, steps))
        picture = write(found, output if output is not None else project_root() / FOLDER)
    click.echo(f"The curve is in {picture}")
    if found.suggestion is None:
        raise RunError(
            f"the loss falls at no rate between {found.rates[0]:.2g} and {found.rates[-1]:.2g} by more than its noise; "
            "look at the curve, and give --steps more steps, loader.batch_size more pictures, or --min and --max others"
        )
    steepest, tenth = f"{found.suggestion.steepest:.2g}", f"{found.suggestion.tenth:.2g}"
    click.echo(f"steepest fall of the loss:         {steepest}")
    click.echo(f"a tenth of the rate of least loss: {tenth}")
    click.echo(f"optimizer.lr={found.suggestion.steepest / job.lr_factor:.2g}")
