"""`kedro reproduce`: makes a run again from what MLflow holds of it, and says whether it came out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fovea.comparison.past import PastRun
    from fovea.comparison.recipe import Recipe
    from fovea.shards import PreparedData


@click.command()
@click.argument("run")
@click.option("--dry-run", is_flag=True, help="Say what differs today, and train nothing.")
@click.option("--env", "-e", default=None, help="Kedro's environment.")
def command(run: str, dry_run: bool, env: str | None) -> None:
    r"""Make a run again, and compare the two metric by metric.

    RUN is the name or the id of an MLflow run (or how the id begins), the folder of a trained model, or `latest`.
    First it says what differs today: code, packages, data, machine. Then it trains and tests with the configuration
    that MLflow holds, from the start. The project's model and results stay as they are. The new run has the
    tag `reproduces`.

    The exit code is 0 where the test predictions are the same bit for bit, and 1 where they are not.

    \b
      kedro reproduce latest --dry-run
      kedro reproduce lenet5-digits-d557b925
    """
    from fovea.commands.composed import composed
    from fovea.config import logs
    from fovea.core.stopping import stoppable

    logs.configure()
    with stoppable():
        from fovea import tracking
        from fovea.comparison import fetch

        settings = composed((), env)["tracking"]
        tracking.configure(settings)
        found = fetch.find(run)
        recipe, before = fetch.recipe(found), fetch.read(found)
        facts = tracking.RunFacts(recipe.config, recipe.choices, recipe.overrides, f"kedro reproduce {found.run_id}")
        tracking.configure(settings, facts)
        prepared = _prepared(recipe)
        _say_what_differs(before, recipe, prepared)
        if not dry_run:
            _repeat(before, recipe, prepared)


def _prepared(recipe: Recipe) -> PreparedData:
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare

    data = dict(recipe.config["data"])
    return prepare(ingest(data), data, dict(recipe.config["prepare"]))


def _say_what_differs(before: PastRun, recipe: Recipe, prepared: PreparedData) -> None:
    from rich.console import Console

    from fovea.comparison import differences, terminal
    from fovea.comparison.reproduction import expectation, obstacles
    from fovea.comparison.rerun import today

    now = today(recipe, prepared)
    console = Console(highlight=False)
    for title, rows in (
        ("Data, code and machine that differ", differences.origins([before, now])),
        ("Packages that differ", differences.packages([before, now])),
    ):
        console.print(terminal.table_of(title, ["", before.name, now.name], rows))
    click.echo(expectation(obstacles(before, now, deterministic=recipe.job.trainer.deterministic)))


def _repeat(before: PastRun, recipe: Recipe, prepared: PreparedData) -> None:
    from rich.console import Console

    from fovea.comparison import terminal
    from fovea.comparison.reproduction import metric_rows, sameness
    from fovea.comparison.rerun import repeat
    from fovea.core.errors import RunError

    new = repeat(recipe, prepared, before)
    rows = metric_rows(before.metrics, new.metrics)
    shown = [(name, [repr(then), repr(now), "same" if same else "differs"]) for name, then, now, same in rows]
    Console(highlight=False).print(terminal.table_of("Metrics", ["metric", "then", "now", ""], shown))
    assert before.predictions is not None  # noqa: S101  # `fetch.read` refuses a run without
    result = sameness(before.predictions, new.predictions)
    click.echo(result.words())
    click.echo(f"The new run is {new.name} ({new.run_id or 'not yet in MLflow'})")
    differing = [name for name, _, _, same in rows if not same]
    if differing or not result.is_identical:
        raise RunError(
            f"'{before.name}' ({before.run_id}) did not come out the same: {result.words()}; "
            f"metrics that differ: {', '.join(differing) or 'none'}"
        )
    click.echo(f"'{before.name}' came out the same, bit for bit")
