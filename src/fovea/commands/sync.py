"""`kedro tracking-sync`: sends to MLflow what was kept on disk while it was out of reach."""

from __future__ import annotations

import click


@click.command()
@click.option("--uri", default=None, help="Send everything to this store, not to the one that each run was meant for.")
def command(uri: str | None) -> None:
    """Send the records of runs that MLflow could not take.

    While MLflow is out of reach, a run keeps its records in data/08_reporting/_untracked. This sends them, with their
    original times, and deletes what has arrived. It can be repeated: nothing is logged twice.
    """
    from fovea.config import logs
    from fovea.core.errors import RunError
    from fovea.tracking.replay import sync

    logs.configure()
    sent, troubles = sync(uri)
    for trouble in troubles:
        click.echo(trouble, err=True)
    if not sent and not troubles:
        click.echo("Nothing waits to be sent.")
    elif sent:
        click.echo(f"Sent {sent} {'run' if sent == 1 else 'runs'} to MLflow.")
    if troubles:
        raise RunError(f"{len(troubles)} kept {'run' if len(troubles) == 1 else 'runs'} could not be sent; see above")
