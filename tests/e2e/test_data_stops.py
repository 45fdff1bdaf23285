"""Preparations of pictures that are killed, stopped, or run out of disk: nothing is half made, nothing made twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def copy(make_project: Callable[..., Any]) -> Any:
    """A copy of the project, of which each test prepares another data set."""
    return make_project("stopped data", "prepare: {workers: 2}\n")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with 30 MB of pictures, for about 40 shards of at most 1 MB."""
    import cv2

    base = tmp_path_factory.mktemp("many")
    for label, name in enumerate(("cat", "dog")):
        (base / name).mkdir()
        for number in range(120):
            pixels = np.random.default_rng(1000 * label + number).integers(0, 256, (300, 400, 3), np.uint8)
            cv2.imwrite(str(base / name / f"{number:03}.jpg"), pixels)
    return base


def command(many: Path, name: str) -> tuple[str, ...]:
    settings = ("data=image_folder", f"data.name={name}", f"data.folder={many}", "prepare.shard_mb=1")
    return ("kedro", "run", "--pipelines=ingest,prepare", *settings)


def is_gone(group: int, seconds: float = 0) -> bool:
    """Whether no process of the group is left, or none after some seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.05)


def started(copy: Any, words: Sequence[str], name: str) -> Any:
    """The command, once it has finished a shard and before it has finished all."""
    process = copy.start(*words)
    end = time.monotonic() + 120
    while not list((copy.root / "data/03_primary/.shards").glob(f"{name}-*/*.json")):
        assert process.poll() is None, "the command ended before there was anything to stop"
        assert time.monotonic() < end, "nothing to stop came up"
        time.sleep(0.01)
    return process


def manifest(copy: Any) -> pd.DataFrame:
    return pd.read_parquet(copy.root / "data/05_model_input/prepared/manifest.parquet")


def shards(copy: Any) -> list[bytes]:
    return [path.read_bytes() for path in sorted((copy.root / "data/05_model_input/prepared").glob("shard-*"))]


@pytest.mark.slow
def test_a_preparation_that_is_killed(copy: Any, many: Path) -> None:
    copy.run(*command(many, "whole"), "prepare.executor=serial")
    whole, rows = shards(copy), manifest(copy)
    process = started(copy, command(many, "killed"), "killed")
    before = copy.outputs()
    process.kill()  # its workers are left to themselves
    process.wait()
    assert is_gone(process.pid, 10)
    store = copy.root / "data/03_primary/.shards"
    finished = {path.name: path.stat().st_mtime_ns for path in store.glob("killed-*/*.json")}
    assert copy.outputs() == before
    copy.run(*command(many, "killed"))
    assert copy.temporaries() == []
    assert shards(copy) == whole
    pd.testing.assert_frame_equal(manifest(copy), rows)
    now = {path.name: path.stat().st_mtime_ns for path in store.glob("killed-*/*.json")}
    assert finished
    assert finished.items() <= now.items(), "finished shards are made again"


def test_ctrl_c_in_a_preparation(copy: Any, many: Path) -> None:
    process = started(copy, command(many, "stopped"), "stopped")
    before = copy.outputs()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    assert process.wait(60) == 130
    assert is_gone(process.pid, 10)
    said = (copy.root.parent / "output.log").read_text()
    assert said.splitlines()[-1].startswith("Stopped: interrupted by SIGINT; ")
    assert "Traceback" not in said
    assert copy.temporaries() == []
    assert copy.outputs() == before


@pytest.mark.slow
def test_a_disk_that_fills_up_in_a_preparation(
    copy: Any, many: Path, tmp_path: Path, mount: Callable[..., None]
) -> None:
    primary = copy.root / "data/03_primary"
    mount(primary, "-t", "tmpfs", "-o", "size=8m", "none")
    before = copy.outputs()
    sentence = copy.refused(*command(many, "full"), code=1, before=before)
    assert "the shards of data 'full' " in sentence or "the disk is full" in sentence
    assert "free some space and run the same command again" in sentence
    assert list(primary.glob(".shards/full-*/*.json")), "finished shards are kept"
    mount(primary, "-o", "remount,size=200m")
    copy.run(*command(many, "full"))
    assert copy.temporaries() == []
    assert manifest(copy)["status"].value_counts().to_dict() == {"kept": 240}
