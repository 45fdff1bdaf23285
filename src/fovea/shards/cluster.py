"""A Dask cluster that does tasks: one of local processes, or one that is running."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from fovea.core.errors import RunError, UserError
from fovea.shards.processes import signals_held, without_main

_CONNECT = 10  # seconds


@contextmanager
def dask(count: int, scheduler: str | None) -> Iterator[Executor]:
    """An executor on a Dask cluster. Its workers need this package and the same folders as this process.

    Args:
        count: Processes of a local cluster.
        scheduler: Address of a running scheduler, as in ``tcp://10.0.0.1:8786``; None: start a local cluster.

    Raises:
        UserError: Dask is not installed, or nothing answers at the address.
        RunError: A task's worker died again and again.
    """
    try:
        from distributed import Client, LocalCluster
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise UserError(
            "prepare.executor is dask but Dask is not installed; run `pip install 'fovea[dask]'`"
        ) from error
    with ExitStack() as stack:
        address: Any = scheduler
        if address is None:
            with signals_held(), without_main():
                cluster: Any = cast(Any, LocalCluster)(
                    n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=40
                )
            address = stack.enter_context(cluster)
        try:
            client = stack.enter_context(cast(Any, Client)(address, timeout=_CONNECT))
        except (OSError, ValueError) as error:
            raise UserError(f"no Dask scheduler answers at prepare.scheduler={scheduler} ({error})") from error
        try:
            yield client.get_executor(pure=False, retries=0)
        except KilledWorker as error:
            raise RunError(
                "a Dask worker that packs pictures was killed several times, mostly because the memory was used up; "
                "run the same command again with fewer workers, what is finished is kept"
            ) from error
