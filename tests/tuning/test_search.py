from __future__ import annotations

import os
import subprocess
import threading
import time

import pytest

from fovea.tuning.search import _ended, _Process, surroundings


@pytest.mark.parametrize(
    ("workers", "cores", "wished", "threads"),
    [(1, 8, "", "8"), (2, 8, "", "4"), (3, 8, "", "2"), (4, 2, "", "1"), (2, 8, "1", "1"), (2, 8, "16", "4")],
)
def test_the_cores_are_shared_out(workers: int, cores: int, wished: str, threads: str) -> None:
    environment = {"OMP_NUM_THREADS": wished, "HOME": "/home"} if wished else {"HOME": "/home"}
    own = surroundings(0, workers, cores, 0, environment)
    assert (own["OMP_NUM_THREADS"], own["LOCAL_WORLD_SIZE"]) == (threads, str(workers))
    assert (own["HOME"], own["FOVEA_TUNE_PARENT"]) == ("/home", str(os.getpid()))
    assert "CUDA_VISIBLE_DEVICES" not in own


@pytest.mark.parametrize(
    ("number", "gpus", "visible", "own"),
    [
        (0, 2, None, "0"),
        (1, 2, None, "1"),
        (2, 2, None, "0"),
        (1, 4, "2,3", "3"),
        (2, 4, "2,3", "2"),
        (0, 1, None, None),
    ],
)
def test_each_worker_has_a_gpu_where_there_are_several(
    number: int, gpus: int, visible: str | None, own: str | None
) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert surroundings(number, 4, 8, gpus, environment).get("CUDA_VISIBLE_DEVICES") == own


def test_what_a_worker_says_at_its_end_is_heard_before_its_end_is_told() -> None:
    said = []
    popen = subprocess.Popen(["sh", "-c", "exit 2"], text=True)

    def pass_on() -> None:
        popen.wait()
        time.sleep(0.3)  # as where this process has much else to do
        said.append("the reason")

    voice = threading.Thread(target=pass_on)
    voice.start()
    popen.wait()
    crew = {7: _Process(popen, voice)}
    assert _ended(crew) == [(7, 2)]
    assert (said, crew) == (["the reason"], {})
