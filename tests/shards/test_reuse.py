"""Finished shards are used again: after a stop, and by the next version of the data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from fovea.core.errors import RunError
from fovea.core.places import PREPARED
from fovea.datasets.members import PLAIN, Members
from fovea.datasets.samples import Samples
from fovea.shards import entries, work
from fovea.shards.pack import pack

Make = Callable[..., Any]


@pytest.fixture
def loose(tmp_path: Path, drawn: Make) -> Callable[..., Samples]:
    """Makes samples of JPEG files in a folder, each a file of its own, in the order of their names."""
    folder = tmp_path / "loose"
    folder.mkdir()

    def make(numbers: Sequence[int]) -> Samples:
        files = []
        for number in sorted(numbers):
            path = folder / f"{number:06d}.jpg"
            if not path.exists():
                path.write_bytes(bytes(cv2.imencode(".jpg", drawn(number))[1]))
            files.append(path)
        count = len(files)
        sizes = np.array([path.stat().st_size for path in files], np.int64)
        none = np.zeros(count, np.int64)
        members = Members(
            tuple(files),
            np.arange(count, dtype=np.int32),
            none,
            sizes,
            sizes,
            np.full(count, PLAIN, np.int8),
            np.zeros(count, np.bool_),
            none - 1,
        )
        names = [path.name for path in files]
        digests = [entries.file_digest(path) for path in files]
        labels = np.array([int(path.stem) // 3 % 3 for path in files])
        return Samples(names, names, labels, members, encoding="encoded", sha256=digests)

    return make


@pytest.fixture
def packed(tmp_path: Path, data: Make, config: Make) -> Callable[..., pd.DataFrame]:
    """Packs samples in shards of some ten pictures, with a folder of finished ones; gives the manifest."""

    def make(samples: Samples, name: str, **changes: Any) -> pd.DataFrame:
        folder = tmp_path / name
        folder.mkdir()
        settings = config(**changes).model_copy(update={"shard_mb": 0.03})
        pack([samples], folder, data(channels=3), settings, store=tmp_path / "finished")
        return pd.read_parquet(folder / "manifest.parquet")

    return make


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests of the tasks that were really done."""
    digests: list[str] = []
    do = work._pack

    def note(task: Any, *more: Any) -> int:
        digests.append(task.digest)
        return do(task, *more)

    monkeypatch.setattr(work, "_pack", note)
    return digests


def shards(folder: Path) -> set[str]:
    return {entries.file_digest(path) for path in folder.glob("shard-*.arrow")}


def test_the_second_time_nothing_is_packed(loose: Make, packed: Make, done: list[str], tmp_path: Path) -> None:
    samples = loose(range(0, 300, 3))
    first = packed(samples, "a")
    count = len(done)
    assert count > 6
    again = packed(samples, "b")
    assert len(done) == count
    pd.testing.assert_frame_equal(first, again)
    assert shards(tmp_path / "a") == shards(tmp_path / "b")
    links = [(path.stat().st_ino) for path in sorted((tmp_path / "a").glob("shard-*"))]
    assert links == [(path.stat().st_ino) for path in sorted((tmp_path / "b").glob("shard-*"))]


def test_a_picture_that_is_added_changes_the_shard_it_falls_into(
    loose: Make, packed: Make, done: list[str], tmp_path: Path
) -> None:
    before = packed(loose(range(0, 600, 3)), "a")
    count = len(done)
    for number, added in enumerate((100, 301, 599)):
        done.clear()
        after = packed(loose([*range(0, 600, 3), added]), f"b{number}")
        assert 1 <= len(done) <= 3 < count
        assert len(shards(tmp_path / f"b{number}") - shards(tmp_path / "a")) == len(done)
        kept = after[after.id != f"{added:06d}.jpg"]
        assert kept.id.tolist() == before.id.tolist()
        assert kept.split.tolist() == before.split.tolist()


def test_what_does_not_change_the_shards_keeps_them(loose: Make, packed: Make, done: list[str]) -> None:
    samples = loose(range(60))
    packed(samples, "a")
    done.clear()
    packed(samples, "b", near_distance=None, duplicates="keep", max_bad_fraction=0.9, quality=50, executor="thread")
    assert done == []
    packed(samples, "c", seed=1)
    assert len(done) > 3


def test_pictures_that_are_out_of_reach_for_a_while_are_not_out_of_reach_for_ever(
    loose: Make, packed: Make, tmp_path: Path
) -> None:
    samples = loose(range(60))
    (tmp_path / "loose").rename(tmp_path / "away")
    with pytest.raises(RunError, match=r"'000000.jpg' of data 'tiny' is not there any more; bring it back, or run"):
        packed(samples, "a", max_bad_fraction=1.0)
    (tmp_path / "away").rename(tmp_path / "loose")
    path = tmp_path / "loose" / "000000.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(RunError, match=r"'000000.jpg' of data 'tiny' has changed since ingest"):
        packed(samples, "b", max_bad_fraction=1.0)
    path.write_bytes(content)
    assert set(packed(samples, "c").status) == {"kept"}


def test_an_archive_that_is_out_of_reach_for_a_while_is_read_later(photos: Make, packed: Make, tmp_path: Path) -> None:
    samples = photos(30)
    (path,) = samples.images.files
    path.rename(tmp_path / "away")
    with pytest.raises(RunError, match=rf"'0000.jpg' of data 'tiny' is missing: '{path}' cannot be read"):
        packed(samples, "a", max_bad_fraction=1.0)
    path.mkdir()  # as whatever is no file
    with pytest.raises(RunError, match=rf"'0000.jpg' of data 'tiny' is unreadable: '{path}' cannot be read"):
        packed(samples, "b", max_bad_fraction=1.0)
    path.rmdir()
    (tmp_path / "away").rename(path)
    assert set(packed(samples, "c").status) == {"kept"}


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "note"])
def test_a_finished_shard_that_is_not_whole_is_made_again(
    loose: Make, packed: Make, done: list[str], tmp_path: Path, damage: str
) -> None:
    samples = loose(range(60))
    packed(samples, "a")
    good = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    done.clear()
    path = min((tmp_path / "finished").glob("*.json" if damage == "note" else "*[0-9a-f].arrow"))
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage != "gone":
        content[len(content) // 2] ^= 1
        path.write_bytes(content[: 100 if damage == "cut" else None] if damage != "note" else b"{")
    packed(samples, "b")
    assert len(done) == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == good


KILLED = """
import json, os, signal, sys
from pathlib import Path
from fovea.config.schema import DataConfig, PrepareConfig, parse
from fovea.core.places import PREPARED, project_root
from fovea.datasets import registry
from fovea.shards import entries, prepare
note = json.load(sys.stdin)
data, config = parse(DataConfig, note["data"], "data"), parse(PrepareConfig, note["prepare"], "prepare")
finish, count = entries.finish, 0
def counted(*arguments):
    global count
    finish(*arguments)
    count += 1
    if count == note["after"]:
        os.kill(os.getpid(), signal.SIGKILL)
entries.finish = counted
prepared, made = prepare(registry.reader(data.source).ingest(data), data, config)
print(json.dumps({"done": count, "path": str(prepared.path)}))
"""


@pytest.fixture
def own(root: Path, drawn: Make, tmp_path: Path) -> dict[str, Any]:
    """The config of a folder of 3 MB of pictures in three classes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "own"
    for number in range(60):
        path = folder / "abc"[number % 3] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 60, (100, 160, 3), np.uint8)
        path.write_bytes(bytes(cv2.imencode(".png", drawn(number, height=100, width=160) // 2 + noise)[1]))
    values = {"name": "own", "source": "image_folder", "channels": 3, "image_size": 32, "classes": None}
    return {**values, "mean": [0.5] * 3, "std": [0.5] * 3, "folder": str(folder)}


def run(own: dict[str, Any], settings: Any, after: int | None) -> subprocess.CompletedProcess[str]:
    import json

    note = json.dumps({"data": own, "prepare": settings.model_dump(), "after": after})
    return subprocess.run([sys.executable, "-c", KILLED], input=note, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_killed_preparation_goes_on_where_it_was(root: Path, own: dict[str, Any], config: Make) -> None:
    import json

    settings = config(shard_mb=1)
    killed = run(own, settings, 2)
    assert killed.returncode == -9, killed.stderr
    finished = root / PREPARED / ".shards"
    assert len(list(finished.glob("own-*/*.json"))) == 2
    half = next(finished.glob("own-*")) / ".half.arrow.host-1-0.tmp"
    half.write_bytes(b"half")
    resumed = run(own, settings, None)
    assert resumed.returncode == 0, resumed.stderr
    told = json.loads(resumed.stdout)
    again = {path.name: path.read_bytes() for path in Path(told["path"]).iterdir()}
    assert not half.exists()
    for folder in (root / PREPARED).iterdir():
        if folder.is_dir():
            subprocess.run(["rm", "-r", str(folder)], check=True)
    whole = json.loads(run(own, settings, None).stdout)
    assert whole["done"] == told["done"] + 2
    assert {path.name: path.read_bytes() for path in Path(whole["path"]).iterdir()} == again


def test_finished_shards_go_when_no_folder_uses_them(root: Path, own: dict[str, Any], config: Make) -> None:
    from fovea.config.schema import DataConfig, parse
    from fovea.datasets import registry
    from fovea.shards import prepare

    data = parse(DataConfig, own, "data")
    source = registry.reader(data.source).ingest(data)
    first = prepare(source, data, config(shard_mb=1))[0]
    other = root / PREPARED / ".shards" / "own-more-0123456789ab"
    other.mkdir()
    (other / "x.arrow").touch()
    stores = [path for path in (root / PREPARED / ".shards").glob("own-*") if path != other]
    assert len(stores) == 1
    subprocess.run(["rm", "-r", str(first.path)], check=True)
    second = prepare(source, data, config(shard_mb=1, resize=50))[0]
    left = [path for path in (root / PREPARED / ".shards").glob("own-*") if path != other]
    assert len(left) == 1
    assert left != stores
    kept = {path.stat().st_ino for path in left[0].glob("*.arrow")}
    assert {(second.path / shard.name).stat().st_ino for shard in second.meta.shards} <= kept
    assert (other / "x.arrow").exists()


def test_the_report_is_part_of_the_folder(root: Path, own: dict[str, Any], config: Make) -> None:
    from fovea.config.schema import DataConfig, parse
    from fovea.datasets import registry
    from fovea.shards import PreparedData, prepare

    seen: list[Any] = []

    def report(prepared: PreparedData) -> list[str]:
        seen.append((len(prepared.manifest()), len(prepared.split("train")), len(prepared.quarantine())))
        (prepared.path / "report.html").write_text("all is well")
        return ["report.html"]

    data = parse(DataConfig, own, "data")
    source = registry.reader(data.source).ingest(data)
    prepared, made = prepare(source, data, config(shard_mb=1), report=report)
    assert made
    assert seen == [(60, prepared.meta.counts["train"], 0)]
    assert [file.name for file in prepared.meta.report] == ["report.html"]
    assert prepared.meta.classes == ("a", "b", "c")
    assert PreparedData.open(prepared.path).meta == prepared.meta
    assert not prepare(source, data, config(shard_mb=1), report=report)[1]
    (prepared.path / "report.html").write_text("all is bad!")
    os.utime(prepared.path / "report.html", ns=(1, 1))
    assert prepare(source, data, config(shard_mb=1), report=report)[1]
    assert len(seen) == 2
