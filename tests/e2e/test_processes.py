"""Training in several processes from inside `kedro run`."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.ddp]

SETTINGS = """\
trainer:
  accelerator: cpu
  max_epochs: 3
  limit_batches: 20
callbacks:
  checkpoint:
    every_n_steps: 5
evaluate:
  gallery: 0
  maps: 0
"""
RUN = ("kedro", "run", "trainer=ddp", "trainer.devices=2")
LIMIT = 200


@pytest.fixture(scope="module")
def place(make_project: Callable[..., Any]) -> Any:
    return make_project("processes", SETTINGS)


@pytest.fixture(scope="module")
def whole(place: Any) -> tuple[str, str]:
    """What an uninterrupted run says, and the digest of its weights."""
    said = place.run(*RUN).stderr
    return said, weights(place)


def weights(place: Any) -> str:
    return hashlib.sha256((place.root / "data/06_models/model/model.safetensors").read_bytes()).hexdigest()


def workers(place: Any) -> dict[int, int]:
    """The process of each rank."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"fovea.training.worker" in words and f"PYTHONPATH={place.root / 'src'}".encode() in variables:
            pairs = dict(one.split(b"=", 1) for one in variables if b"=" in one)
            found[int(pairs[b"RANK"])] = int(process.name)
    return found


def output(place: Any) -> str:
    return (place.root.parent / "output.log").read_text()


def started(place: Any, *words: str, until: str = "epoch 1/") -> subprocess.Popen[str]:
    """Starts the run anew and waits until it has said something."""
    place.run("rm", "-rf", "data/06_models/_work")
    process = place.start(*RUN, *words)
    end = time.monotonic() + LIMIT
    while until not in output(place):
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(output(place))
        time.sleep(0.05)
    return process


def test_stages_before_run_once_and_there_is_one_run(place: Any, whole: tuple[str, str]) -> None:
    said, _ = whole
    for line in ("ingest: digits", "prepare: 5,000 pictures", "epoch 1/3", "evaluate: 1,012"):
        assert said.count(line) == 1, said
    assert "in 2 processes" in said
    (run,) = place.runs()
    assert run.info.status == "FINISHED"
    assert run.data.tags["world_size"] == "2"
    assert {"val/acc", "test/acc"} <= run.data.metrics.keys()
    assert workers(place) == {}


def test_one_process_comes_to_the_same(place: Any, whole: tuple[str, str]) -> None:
    two, losses = whole[0], re.compile(r"train/loss (\S+)")
    one = place.run("kedro", "run", "trainer.devices=1", "trainer.threads=1").stderr
    assert len(losses.findall(one)) == 3
    first = [float(losses.findall(said)[0]) for said in (one, two)]
    assert first[0] == pytest.approx(first[1], abs=0.02)  # but for dropout, which each process draws for itself


def test_a_process_that_dies_is_replaced(place: Any, whole: tuple[str, str]) -> None:
    process = started(place)
    os.kill(workers(place)[1], signal.SIGKILL)
    assert process.wait(LIMIT) == 0, output(place)
    assert weights(place) == whole[1]
    said = output(place)
    assert re.search(r"WARNING: train: rank 1 was killed by SIGKILL.* in epoch \d, batch \d+; all", said), said
    assert "restart 1 of 3" in said
    assert "torch" not in said
    newest = place.runs()[0]
    assert newest.info.status == "FINISHED"
    assert workers(place) == {}


def test_a_process_that_hangs_is_found(place: Any, whole: tuple[str, str]) -> None:
    process = started(place, "trainer.launch.timeout_seconds=4")
    os.kill(workers(place)[1], signal.SIGSTOP)
    assert process.wait(LIMIT) == 0, output(place)
    assert weights(place) == whole[1]
    assert re.search(r"rank 1 halted by a signal in epoch \d, batch \d+: no step for \d+ s", output(place))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_state_and_the_same_command_goes_on(signum: int, place: Any, whole: tuple[str, str]) -> None:
    process = started(place)
    os.killpg(process.pid, signum)
    assert process.wait(LIMIT) == 128 + signum, output(place)
    assert f"go on with: {' '.join(RUN)}" in output(place)
    assert place.runs()[0].info.status == "KILLED"
    assert workers(place) == {}
    said = place.run(*RUN).stderr
    assert "going on from" in said
    assert weights(place) == whole[1]
    assert place.runs()[0].info.status == "FINISHED"


def test_processes_die_with_the_command(place: Any, whole: tuple[str, str]) -> None:
    process = started(place)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(LIMIT)
    end = time.monotonic() + 5
    while workers(place) and time.monotonic() < end:
        time.sleep(0.1)
    assert workers(place) == {}
    place.run(*RUN)
    assert weights(place) == whole[1]


def test_restarts_end(place: Any, whole: tuple[str, str]) -> None:
    process = started(place, "trainer.launch.max_restarts=0")
    os.kill(workers(place)[0], signal.SIGKILL)
    assert process.wait(LIMIT) == 1
    assert re.search(r"Error: training failed: rank 0 was killed by SIGKILL", output(place))
    assert place.runs()[0].info.status == "FAILED"
    place.run("rm", "-rf", "data/06_models/_work")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("loader.batch_size=63",), "loader.batch_size 63 cannot be shared evenly by 2 processes"),
        (("model=timm", "model.name=resnet81"), "model.name 'resnet81' is none of timm's"),
        (("trainer.strategy=fsdp",), "trainer.strategy=fsdp needs GPUs"),
        (("trainer.launch.nodes=2",), "trainer.launch.nodes=2 needs a process on each of them"),
    ],
)
def test_a_mistake_is_told_by_one_and_nothing_starts(
    words: tuple[str, ...], sentence: str, place: Any, whole: tuple[str, str]
) -> None:
    before, runs = place.outputs(), len(place.runs())
    assert sentence in place.refused(*RUN, *words, code=2, before=before)
    assert len(place.runs()) == runs
    assert list((place.root / "data/06_models/_work").glob("*/")) == []


def test_the_same_training_is_not_made_twice_at_once(place: Any, whole: tuple[str, str]) -> None:
    process = started(place, "trainer.max_epochs=500", until="epoch 1/")
    (resolved,) = (place.root / "data/06_models/_work").glob("*/resolved.yaml")
    done = place.run("python", "-m", "fovea.training.launcher", str(resolved), "--processes", "1", check=False)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(LIMIT) == 143, output(place)
    assert done.returncode == 1
    assert "is already under way in process" in done.stderr
    place.run("rm", "-rf", "data/06_models/_work")
