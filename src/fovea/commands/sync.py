"""`kedro tracking-sync`: sends to MLflow what was kept on disk while it was out of reach."""

from __future__ import annotations

import click


@click.command()
@click.option("--uri", default=None, help="Send everything to this store, not to the one that each run was meant for.")
@click.option(
    "--force",
    is_flag=True,
    help="Send the records of runs without an end, too, that processes of other machines wrote.",
)
def command(uri: str | None, force: bool) -> None:
    """Send the records of runs that MLflow could not take.

    While MLflow is out of reach, a run keeps its records in data/08_reporting/_untracked. This sends them, with their
    original times, and deletes what has arrived. It can be repeated: nothing is logged twice.

    Runs that are under way are left alone. Of a process of another machine, or of another container, nothing can be
    seen from here: give --force when it has ended without a word. Its run is then KILLED.
    """
    from fovea.config import logs
    from fovea.core.errors import RunError
    from fovea.tracking.replay import sync

    logs.configure()
    sent, troubles = sync(uri, force=force)
    for trouble in troubles:
        click.echo(trouble, err=True)
    if not sent and not troubles:
        click.echo("Nothing waits to be sent.")
    elif sent:
        click.echo(f"Sent {sent} {'run' if sent == 1 else 'runs'} to MLflow.")
    if troubles:
        raise RunError(f"{len(troubles)} kept {'run' if len(troubles) == 1 else 'runs'} could not be sent; see above")
