"""The processes that make batches: deaf to everybody but the process that they serve, and gone with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORKER = """
import multiprocessing, os, time
from fovea.loading.loader import start_worker

def work(ready):
    start_worker(0)
    ready.put(os.getpid())
    time.sleep(60)

ready = multiprocessing.get_context("fork").Queue()
multiprocessing.get_context("fork").Process(target=work, args=(ready,)).start()
print(ready.get(), flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_a_signal_to_the_whole_group_leaves_the_workers_to_the_loader(module, ragged):
    loader = module(ragged, num_workers=1).train_dataloader()
    batches = iter(loader)
    count = 1 + bool(next(batches))
    (worker,) = loader._iterator._workers
    subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)
    count += sum(1 for _ in batches)
    assert count == 1 + len(loader)
    assert is_running(worker.pid)
    worker.terminate()
    assert ends(worker.pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux does it")
def test_workers_die_with_the_process_that_they_serve():
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_running(pid)
        os.kill(process.pid, signal.SIGKILL)
    assert ends(pid)
