"""Runs a function in several processes that know of each other, as training on several devices does.

A test asks for the fixture `ddp` and calls `ddp(world_size, function, *arguments)`: every process calls
`function(rank, world_size, *arguments)`, and the test gets what each returned, in the order of the ranks. The function
stands at the top of the test's module; arguments and results are whatever pickle takes.

As a program this file is one of those processes: `ddp.py ORDER RESULT`.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

_SHOWN = 6000  # characters of what a failed process wrote
_GRACE = 3.0  # seconds that the others have to end when one has failed


class RankError(AssertionError):
    """A process failed or did not end; says which, and what it wrote."""


def launch(world_size: int, function: Callable[..., Any], *arguments: Any, timeout: float = 120.0) -> list[Any]:
    """What `function(rank, world_size, *arguments)` returns in each of `world_size` fresh processes.

    They form a process group over gloo on the loopback and have one thread each. None is alive afterwards.

    Raises:
        RankError: One failed, or they did not end in time.
    """
    order = {
        "file": function.__code__.co_filename,
        "module": function.__module__,
        "name": function.__qualname__,
        "fixtures": _fixtures(Path(function.__code__.co_filename)),
        "arguments": pickle.dumps(arguments),  # may hold what those modules define
        "timeout": timeout,
    }
    with tempfile.TemporaryDirectory(prefix="fovea-ddp-") as folder:
        place = Path(folder)
        (place / "order").write_bytes(pickle.dumps(order))
        processes: list[subprocess.Popen[bytes]] = []
        try:
            port = free_port()
            for rank in range(world_size):
                with (place / f"{rank}.log").open("wb") as log:
                    command = [sys.executable, __file__, str(place / "order"), str(place / f"{rank}.result")]
                    variables = environment(rank, world_size, port)
                    processes.append(subprocess.Popen(command, env=variables, stdout=log, stderr=log))
            _wait(processes, timeout)
        finally:
            left = [process.poll() is None for process in processes]
            for process in processes:
                process.kill()
                process.wait()
        _judge([None if still else process.returncode for still, process in zip(left, processes, strict=True)], place)
        return [pickle.loads((place / f"{rank}.result").read_bytes()) for rank in range(world_size)]  # noqa: S301


def environment(rank: int, world_size: int, port: int) -> Mapping[str, str]:
    """The variables that tell a process its place, as torchrun sets them."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
    }


def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def module_at(path: Path, name: str) -> ModuleType:
    """The module in a file, which need not be on the path of modules; what it defines is pickled by that name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _fixtures(file: Path) -> dict[str, str]:
    """The files `conftest.py` that pytest has loaded for a test's module, by the names of their modules."""
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return {
        name: path
        for name, path in files.items()
        if path is not None and Path(path).name == "conftest.py" and Path(path).parent in file.parents
    }


def _wait(processes: list[subprocess.Popen[bytes]], timeout: float) -> None:
    """Until all have ended well, one has failed and the others had time to notice, or time is up."""
    end = time.monotonic() + timeout
    failed = False
    while time.monotonic() < end:
        codes = [process.poll() for process in processes]
        if None not in codes:
            return
        if any(codes) and not failed:
            failed, end = True, min(end, time.monotonic() + _GRACE)
        time.sleep(0.02)


def _judge(codes: list[int | None], place: Path) -> None:
    words = []
    for rank, code in enumerate(codes):
        if code != 0:
            said = (place / f"{rank}.log").read_text(errors="replace")[-_SHOWN:]
            fate = "did not end" if code is None else f"ended with {code}"
            words.append(f"rank {rank} of {len(codes)} {fate}:\n{said}")
    if words:
        raise RankError("\n".join(words))


def _main(order: Path, result: Path) -> None:
    plain = pickle.loads(order.read_bytes())  # noqa: S301
    faulthandler.dump_traceback_later(0.9 * plain["timeout"], exit=True)  # where it hangs
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo", timeout=timedelta(seconds=plain["timeout"]))
    for name, path in plain["fixtures"].items():
        module_at(Path(path), name)
    function = getattr(module_at(Path(plain["file"]), plain["module"]), plain["name"])
    rank, world_size = distributed.get_rank(), distributed.get_world_size()
    answer = function(rank, world_size, *pickle.loads(plain["arguments"]))  # noqa: S301
    result.write_bytes(pickle.dumps(answer))
    if distributed.is_initialized():  # Lightning takes it down with its trainer
        distributed.barrier()
        distributed.destroy_process_group()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
