from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fovea.config.schema import DataConfig, PrepareConfig, parse
from fovea.core.errors import RunError
from fovea.core.places import PREPARED
from fovea.datasets import idx_pairs, registry
from fovea.datasets.source import SourceFiles
from fovea.shards import PreparedData, prepare, store

Make = Callable[..., Any]


def shown(root: Path) -> list[str]:
    return sorted(path.name for path in (root / PREPARED).iterdir() if not path.name.startswith("."))


def content(prepared: PreparedData) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in prepared.path.iterdir()}


def test_the_second_time_nothing_is_done(
    root: Path, source: SourceFiles, data: Make, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, made = prepare(source, data(), config())
    assert made
    assert first.path == root / "data/03_primary" / f"tiny-{first.meta.digest[:12]}"

    def refuse(*args: Any) -> Any:
        raise AssertionError("it was read again")

    monkeypatch.setattr(store, "pack", refuse)
    monkeypatch.setattr(store, "file_digest", refuse)
    monkeypatch.setattr(store, "waiting", refuse)
    again, made = prepare(source, data(), config())
    assert (again, made) == (first, False)


def test_the_same_input_gives_the_same_bytes_elsewhere(
    root: Path, source: SourceFiles, data: Make, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(source, data(), config())[0]
    other = tmp_path / "other"
    (other / "conf").mkdir(parents=True)
    (other / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(other))
    second = prepare(source, data(), config())[0]
    assert second.path.is_relative_to(other)
    assert content(second) == content(first)


def test_what_decides_the_bytes_decides_the_place(root: Path, source: SourceFiles, data: Make, config: Make) -> None:
    first = prepare(source, data(), config())[0]
    assert prepare(source, data(mean=[0.1], mirrors=["https://a.example/"]), config())[0] == first
    others = {
        prepare(source, data(), config(seed=1))[0].path,
        prepare(source, data(), config(val_fraction=0.3))[0].path,
        prepare(source, data(classes=["x", "y", "z"]), config())[0].path,
        prepare(source, data(name="other"), config())[0].path,
    }
    assert len(others | {first.path}) == 5


def test_another_source_has_another_place(root: Path, source: SourceFiles, data: Make, config: Make) -> None:
    first = prepare(source, data(), config())[0]
    path = source.files["train_labels"]
    path.write_bytes((source.files["train_labels"]).read_bytes()[:-8] + bytes(8))
    os.utime(path, ns=(1, 1))
    changed = idx_pairs.ingest(data())
    assert changed.digest != source.digest
    with pytest.raises(RunError, match=r"train-labels.gz' is damaged"):
        prepare(changed, data(), config())
    assert shown(root) == [first.path.name]


@pytest.mark.parametrize("damage", ["pixel", "cut", "gone", "note", "empty"])
def test_a_damaged_folder_is_made_anew(
    root: Path, source: SourceFiles, data: Make, config: Make, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = prepare(source, data(), config())[0]
    good = content(prepared)
    shard = prepared.path / "shard-00000.arrow"
    if damage == "pixel":
        changed = bytearray(good[shard.name])
        changed[len(changed) // 2] ^= 1
        shard.write_bytes(changed)
        os.utime(shard, ns=(1, 1))
    elif damage == "cut":
        shard.write_bytes(good[shard.name][:-1])
    elif damage == "gone":
        shard.unlink()
    elif damage == "note":
        (prepared.path / "prepared.json").write_text("{")
    else:
        for path in prepared.path.iterdir():
            path.unlink()
    again, made = prepare(source, data(), config())
    assert made
    assert content(again) == good
    assert "is not whole and is made anew" in caplog.text


def test_files_with_another_time_are_read_once_more(
    root: Path, source: SourceFiles, data: Make, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(source, data(), config())[0]
    os.utime(prepared.path / "shard-00000.arrow", ns=(1, 1))
    read: list[str] = []
    digest = store.file_digest
    monkeypatch.setattr(store, "file_digest", lambda path: (read.append(path.name), digest(path))[1])
    assert not prepare(source, data(), config())[1]
    assert len(read) == 4
    assert not prepare(source, data(), config())[1]
    assert len(read) == 4


def test_a_failure_leaves_nothing(root: Path, source: SourceFiles, data: Make, config: Make) -> None:
    with pytest.raises(RunError, match=r"data.classes names 2 classes"):
        prepare(source, data(classes=["a", "b"]), config())
    assert shown(root) == []
    assert not list((root / PREPARED).glob("*.tmp"))
    assert not list((root / PREPARED).glob(".*.tmp"))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    root: Path, source: SourceFiles, data: Make, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(self: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        is_shard = self.suffix == ".arrow" and "w" in mode
        return opened(Path("/dev/full") if is_shard else self, mode, *args, **more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(RunError, match=r"writing .*03_primary/tiny-.* failed: the disk is full; free some space"):
        prepare(source, data(), config())
    assert shown(root) == []
    assert not list((root / PREPARED).glob(".*.tmp"))


PREPARE = """
import os, signal, sys, yaml
from pathlib import Path
from fovea.config.schema import DataConfig, PrepareConfig, parse
from fovea.datasets.source import SourceFiles
from fovea.shards import prepare, store
note = yaml.safe_load(sys.stdin)
data, config = parse(DataConfig, note["data"], "data"), parse(PrepareConfig, note["prepare"], "prepare")
if note["kill"]:
    store.Meta.write = lambda meta, folder: os.kill(os.getpid(), signal.SIGKILL)
print(prepare(SourceFiles.open(Path(note["source"])), data, config)[1])
"""


@pytest.fixture
def in_process(source: SourceFiles, data: Make, config: Make, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    source.publish(tmp_path / "source")

    def start(kill: bool) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PREPARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        note = {"source": str(tmp_path / "source"), "kill": kill}
        note |= {"data": data().model_dump(), "prepare": config().model_dump()}
        assert process.stdin is not None
        process.stdin.write(json.dumps(note))
        process.stdin.close()
        process.stdin = None
        return process

    return start


def test_a_killed_preparation_leaves_nothing_that_is_taken_for_whole(
    root: Path, source: SourceFiles, data: Make, config: Make, in_process: Callable[..., subprocess.Popen[str]]
) -> None:
    killed = in_process(kill=True)
    killed.communicate()
    assert killed.returncode == -9
    assert shown(root) == []
    assert len(list((root / PREPARED).glob(".tiny-*.tmp"))) == 1
    prepared, made = prepare(source, data(), config())
    assert made
    assert shown(root) == [prepared.path.name]
    assert not list((root / PREPARED).glob(".tiny-*.tmp"))


def test_two_at_once_prepare_once(root: Path, in_process: Callable[..., subprocess.Popen[str]]) -> None:
    running = [in_process(kill=False) for _ in range(2)]
    assert sorted(process.communicate()[0] for process in running) == ["False\n", "True\n"]
    assert len(shown(root)) == 1


def test_a_waiting_process_says_so(
    root: Path, source: SourceFiles, data: Make, config: Make, caplog: pytest.LogCaptureFixture
) -> None:
    import threading

    from fovea.core.locks import exclusive

    first = prepare(source, data(), config())[0]
    (first.path / "prepared.json").unlink()
    with caplog.at_level(logging.INFO), exclusive(first.path.with_name(f".{first.path.name}.lock"), "preparing x", ""):
        results: list[bool] = []
        thread = threading.Thread(target=lambda: results.append(prepare(source, data(), config())[1]))
        thread.start()
        while "waiting for it to end" not in caplog.text:
            thread.join(0.01)
    thread.join()
    assert results == [True]
    assert f"preparing {first.path.name} is already under way" in caplog.text


@pytest.mark.realdata
def test_the_real_mnist_is_prepared(
    root: Path, project: Path, real_data: Path, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEA_MIRROR", str(real_data))
    data = parse(DataConfig, yaml.safe_load((project / "conf/data/mnist.yaml").read_text()), "data")
    prepared = prepare(idx_pairs.ingest(data), data, config())[0]
    assert prepared.meta.counts == {"train": 54_025, "val": 5_975, "test": 10_000}
    test = prepared.split("test")
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert test.images().shape == (10_000, 28, 28, 1)  # type: ignore[union-attr]
    table = prepared.manifest()
    assert len(table) == 70_000
    assert table.groupby("sha256").split.nunique().max() == 1


@pytest.mark.slow
@pytest.mark.realdata
def test_the_real_cats_and_dogs_come_out_as_expected(
    root: Path, project: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import csv

    folder = real_data / "cats_vs_dogs"
    values = yaml.safe_load((project / "conf/data/cats_vs_dogs.yaml").read_text())
    values |= {"folder": str(folder), "files": {"archive": {"name": "kagglecatsanddogs_mini.zip"}}}
    data = parse(DataConfig, values, "data")
    settings = yaml.safe_load((project / "conf/config.yaml").read_text())["prepare"]
    config = parse(PrepareConfig, settings | {"workers": 2}, "prepare")
    prepared = prepare(registry.reader(data.source).ingest(data), data, config)[0]
    table = prepared.manifest().set_index("id")
    with (folder / "expected.csv").open() as stream:
        expected = {row["member"]: row["kind"] for row in csv.DictReader(stream)}
    odd = table[table.status != "kept"]
    assert set(odd.index) == {member for member, kind in expected.items() if kind != "good"}
    for member, kind in expected.items():
        row = table.loc[member]
        if kind == "good":
            assert row.status == "kept"
        elif kind == "duplicate_of_7":
            assert (row.reason, row.duplicate_of) == ("duplicate", f"{member.rpartition('/')[0]}/7.jpg")
        elif kind == "label_conflict_with_Cat/8":
            assert (row.reason, row.conflict_with) == ("label_conflict", "PetImages/Cat/8.jpg")
        else:
            assert (row.status, row.reason) == ("quarantined", kind)
    assert len(table) == 2017
    assert sum(prepared.meta.counts.values()) == 2006
    assert table.split.nunique() == 3
