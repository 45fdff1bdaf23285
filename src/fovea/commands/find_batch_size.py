"""`kedro find-batch-size`: the largest batch that fits in memory, and the smallest that trains at full speed."""

from __future__ import annotations

import click


@click.command("find-batch-size")
@click.argument("overrides", nargs=-1)
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="For all steps that are tried."
)
@click.option(
    "--env", "-e", default=None, help="Kedro's environment; its overrides.yaml takes the place of conf/local's."
)
def command(overrides: tuple[str, ...], seconds: float, env: str | None) -> None:
    r"""Find the largest batch that fits, for what `kedro run` with the same OVERRIDES would train.

    Some steps are trained on batches of 2, 4, 8 and more pictures, in a process of their own. Where the time ends
    before memory does, the largest size is reckoned from those that were tried. Data that are not prepared yet are
    prepared. No model is kept, and no MLflow run is made.

    \b
      kedro find-batch-size
      kedro find-batch-size data=cats_vs_dogs model=resnet50 trainer.precision=bf16
    """
    from fovea.commands.composed import prepared_job
    from fovea.config import logs
    from fovea.core.errors import RunError, UserError
    from fovea.core.stopping import stoppable

    logs.configure()
    with stoppable():
        job, prepared = prepared_job(overrides, env)
        from fovea.training.footprint import measure, power_of_two

        pictures = prepared.meta.counts["train"]
        if pictures < 2:
            raise UserError(
                f"data '{prepared.meta.name}' has {pictures} training pictures, and a batch size is found with at "
                "least 2; choose other data, or lower prepare.test_fraction and prepare.val_fraction"
            )
        found = measure(job, prepared, most=power_of_two(pictures), seconds=seconds)
    largest = found.largest(pictures)
    if largest < 2:
        raise RunError(
            f"not even 2 pictures fit in the {found.available / 1e9:,.1f} GB of memory available; take a smaller "
            "network or smaller pictures (data.image_size)"
        )
    click.echo(f"{'batch':>8}{'memory':>12}{'pictures/s':>14}")
    for step in found.steps:
        click.echo(f"{step.size:>8,}{step.memory / 1e9:>9,.2f} GB{step.pictures_per_second:>14,.0f}")
    tried = largest <= found.steps[-1].size
    reason = (
        f"as many as the {pictures:,} training pictures allow" if 2 * largest > pictures else "the largest that fits"
    )
    click.echo(
        f"{largest:,}: {reason}, {found.line.needed(largest) / 1e9:,.2f} of {found.available / 1e9:,.2f} GB available"
        f"{'' if tried else ' (reckoned, not tried)'}"
    )
    click.echo(f"{found.fastest():,}: beyond it no size that was tried is more than 5 % faster")
    click.echo(f"loader.batch_size={largest}")
