"""`kedro ui`: the project's runs in a browser."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=None, help="This port, or none; without it 5000 or the next."
)
def command(port: int | None) -> None:
    """Look at the runs in a browser, until Ctrl-C.

    Starts the MLflow UI on the project's store for this machine alone (127.0.0.1). Where tracking.uri names a server,
    its address is printed instead.
    """
    from fovea.core.errors import RunError
    from fovea.tracking.reach import OutOfReachError
    from fovea.tracking.server import FIRST_PORT, HOST, choose_port, links, serving
    from fovea.tracking.store import open_store
    from fovea.tracking.uri import artifact_root, redacted

    uri, experiment = _settings()
    is_server = artifact_root(uri) is None
    chosen = None if is_server else choose_port(port)
    if chosen is not None and port is None and chosen != FIRST_PORT:
        click.echo(f"Port {FIRST_PORT} is taken; this is on {chosen}.")
    try:
        store = open_store(uri, experiment)
    except OutOfReachError as error:
        raise RunError(f"MLflow at {redacted(uri)} is out of reach: {error}") from error
    if chosen is None:
        _show(links(redacted(uri), store.experiment_id))
        return
    with _signals() as stopped, serving(uri, chosen) as server:
        _show(links(f"http://{HOST}:{chosen}", store.experiment_id))
        click.echo("Ctrl-C ends it.")
        while not stopped.wait(0.5):
            if server.poll() is not None:
                raise RunError("the MLflow UI ended by itself; start it again")
    click.echo("The MLflow UI has ended.")


def _settings() -> tuple[str, str]:
    """The store and the experiment that `kedro run` would use."""
    from fovea.config.loader import HydraConfigLoader
    from fovea.core.places import project_root
    from fovea.settings import CONFIG_LOADER_ARGS
    from fovea.tracking.uri import resolve

    loader = HydraConfigLoader(project_root() / "conf", os.environ.get("KEDRO_ENV"), {}, **CONFIG_LOADER_ARGS)
    settings = loader["parameters"]["tracking"]
    return resolve(settings["uri"]), str(settings["experiment"])


def _show(where: dict[str, str]) -> None:
    for name, link in where.items():
        click.echo(f"{name:7} {link}")


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set."""
    stopped = threading.Event()
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {signum: signal.signal(signum, lambda *_: stopped.set()) for signum in watched}
    try:
        yield stopped
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
