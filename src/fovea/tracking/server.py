"""The MLflow UI as one small local server process."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO

from fovea.core.errors import RunError, UserError
from fovea.tracking.guide import VIEW
from fovea.tracking.uri import artifact_root

HOST = "127.0.0.1"
FIRST_PORT = 5000

_PORTS = 100
_START_SECONDS = 120.0
_STOP_SECONDS = 5.0


def choose_port(wanted: int | None) -> int:
    """A port of 127.0.0.1 to listen on.

    Args:
        wanted: The only port that will do; None for the first free one from 5000 on.

    Raises:
        UserError: The wanted port is taken.
        RunError: None of a hundred ports is free.
    """
    if wanted is not None:
        if not _is_free(wanted):
            raise UserError(
                f"--port={wanted} is taken by another program; choose another, or none for the next free one"
            )
        return wanted
    for port in range(FIRST_PORT, FIRST_PORT + _PORTS):
        if _is_free(port):
            return port
    last = FIRST_PORT + _PORTS - 1
    raise RunError(f"no port from {FIRST_PORT} to {last} is free; stop what listens there, or name one with --port")


def _is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


def links(base: str, experiment_id: str) -> dict[str, str]:
    """Where to look: the table with the columns to compare by, and the curves; with the menu for models, not chats."""
    view = f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
    return {"table": view, "curves": f"{view}&compareRunsMode=CHART"}


@contextmanager
def serving(uri: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the MLflow UI on a database for the block, with one worker and no job runner; nothing is left behind.

    Raises:
        RunError: It ended or did not answer within two minutes.
    """
    root = artifact_root(uri)
    artifacts = ["--default-artifact-root", root.as_uri(), "--artifacts-destination", root.as_uri()] if root else []
    # A connection that a browser keeps open must not delay the end.
    options = "--log-level warning --timeout-graceful-shutdown 1"
    words = ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", options]
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "mlflow", "ui", *words, *artifacts],
            # The store's address may hold a password, and every user sees the words of a command.
            env={**os.environ, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Its own group, so that it ends as a whole and only through this process.
            start_new_session=True,
        )
        try:
            _wait_until_ready(server, port, output)
            yield server
        finally:
            _stop(server)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise RunError(f"the MLflow UI did not start: {lines[-1]}")
        if _answers(port):
            return
        time.sleep(0.1)
    raise RunError(f"the MLflow UI did not answer on port {port} within {_START_SECONDS:.0f} s; try again")


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection(HOST, port, timeout=2)) as connection:
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server's whole process group, gently first."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, signum)
        except ProcessLookupError:
            break
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
