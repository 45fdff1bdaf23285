from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from kedro.io import AbstractDataset, DataCatalog, DatasetError
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from fovea.core.errors import FoveaError, RunError
from fovea.core.files import publish_directory
from fovea.kedro_io import DirectoryDataset, JsonDataset, TableDataset


@dataclass(frozen=True)
class Note:
    """A handle of a folder with one file."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> Self:
        if not (path / "note.txt").is_file():
            raise RunError(f"'{path}' holds no note; write one")
        return cls(path)

    def publish(self, target: Path) -> None:
        publish_directory(self.path, target)

    @property
    def text(self) -> str:
        return (self.path / "note.txt").read_text()


def note_in(folder: Path, text: str) -> Note:
    folder.mkdir()
    (folder / "note.txt").write_text(text)
    return Note(folder)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryDataset:
    module = type(sys)("notes")
    module.Note = Note  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "notes", module)
    return DirectoryDataset(str(tmp_path / "data" / "note"), "notes.Note")


def test_saving_publishes_and_loading_gives_the_same_handle(directory: DirectoryDataset, tmp_path: Path) -> None:
    assert not directory.exists()
    note = note_in(tmp_path / "store", "one")
    directory.save(note)
    assert directory.load() is note
    assert directory.exists()
    assert (tmp_path / "data/note/note.txt").samefile(note.path / "note.txt")


def test_another_sessions_folder_is_not_mixed_in(directory: DirectoryDataset, tmp_path: Path) -> None:
    directory.save(note_in(tmp_path / "ours", "ours"))
    other = DirectoryDataset(str(tmp_path / "data" / "note"), "notes.Note")
    other.save(note_in(tmp_path / "theirs", "theirs"))
    assert directory.load().text == "ours"
    directory.release()
    assert directory.load() == Note(tmp_path / "data" / "note")
    assert directory.load().text == "theirs"


def cause(function: Callable[..., Any], *arguments: Any) -> str:
    """The sentence for the user: that of the `RunError` in Kedro's `DatasetError`."""
    with pytest.raises(DatasetError) as caught:
        function(*arguments)
    error: BaseException = caught.value
    while not isinstance(error, FoveaError):
        assert error.__cause__ is not None
        error = error.__cause__
    return str(error)


def test_a_missing_folder_is_one_sentence(directory: DirectoryDataset, tmp_path: Path) -> None:
    assert cause(directory.load) == f"'{tmp_path / 'data' / 'note'}' holds no note; write one"


def test_a_full_disk_while_publishing_keeps_what_was_there(
    directory: DirectoryDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.save(note_in(tmp_path / "one", "one"))

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fovea.core.files.link_or_copy", full)
    assert f"writing {tmp_path}/data/note failed: the disk is full" in cause(
        directory.save, note_in(tmp_path / "two", "two")
    )
    assert (tmp_path / "data/note/note.txt").read_text() == "one"


def test_only_its_own_handles_are_taken(directory: DirectoryDataset) -> None:
    with pytest.raises(DatasetError, match=r"expected notes.Note, not str"):
        directory.save("a string")


def test_a_directory_is_for_one_process_and_names_itself(directory: DirectoryDataset, tmp_path: Path) -> None:
    assert directory._SINGLE_PROCESS
    assert directory._describe() == {"filepath": str(tmp_path / "data" / "note"), "handle": "notes.Note"}
    assert not getattr(JsonDataset("x.json"), "_SINGLE_PROCESS", False)


def test_a_catalog_entry_makes_each_dataset(tmp_path: Path) -> None:
    entries: dict[str, dict[str, Any]] = {
        "prepared": {"type": "fovea.kedro_io.DirectoryDataset", "handle": "notes.Note", "filepath": "a"},
        "metrics": {"type": "fovea.kedro_io.JsonDataset", "filepath": "a.json", "metadata": {"dvc": {"metric": True}}},
        "table": {"type": "fovea.kedro_io.TableDataset", "filepath": "a.csv"},
    }
    made = {name: AbstractDataset.from_config(name, entry) for name, entry in entries.items()}
    assert [type(dataset) for dataset in made.values()] == [DirectoryDataset, JsonDataset, TableDataset]
    assert made["metrics"].metadata == {"dvc": {"metric": True}}  # type: ignore[attr-defined]
    with pytest.raises(DatasetError, match=r"'a.txt' must end in .csv or .parquet"):
        AbstractDataset.from_config("t", {"type": "fovea.kedro_io.TableDataset", "filepath": "a.txt"})


def test_a_run_passes_the_handle_from_node_to_node(directory: DirectoryDataset, tmp_path: Path) -> None:
    note = note_in(tmp_path / "store", "one")
    seen: list[Note] = []
    steps = Pipeline(
        [
            node(lambda: note, None, "note", name="make"),
            node(lambda handle: seen.append(handle) or {"length": len(handle.text)}, "note", "facts", name="use"),
        ]
    )
    facts = JsonDataset(str(tmp_path / "facts.json"))
    SequentialRunner().run(steps, DataCatalog({"note": directory, "facts": facts}))
    assert seen[0] is note
    assert facts.load() == {"length": 3}


def test_an_error_in_a_run_keeps_its_sentence(directory: DirectoryDataset) -> None:
    steps = Pipeline([node(lambda handle: handle, "note", "out", name="use")])
    assert "holds no note; write one" in cause(SequentialRunner().run, steps, DataCatalog({"note": directory}))


def test_json_is_sorted_exact_and_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metrics.json"
    metrics = {"test/loss": 0.1 + 0.2, "test/acc": np.float64(0.98), "count": np.int64(7), "name": "é", "list": (1, 2)}
    JsonDataset(str(path)).save(metrics)
    assert path.read_text(encoding="utf-8") == (
        '{\n  "count": 7,\n  "list": [\n    1,\n    2\n  ],\n  "name": "é",\n  "test/acc": 0.98,\n'
        '  "test/loss": 0.30000000000000004\n}\n'
    )
    assert JsonDataset(str(path)).load()["test/loss"] == 0.1 + 0.2
    first = path.read_bytes()
    JsonDataset(str(path)).save(dict(reversed(metrics.items())))
    assert path.read_bytes() == first


def test_json_writes_nan_as_null(tmp_path: Path) -> None:
    dataset = JsonDataset(str(tmp_path / "a.json"))
    dataset.save({"a": float("nan"), "b": [np.float32("inf"), 1.5], "c": np.array([1.0, np.nan])})
    assert dataset.load() == {"a": None, "b": [None, 1.5], "c": [1.0, None]}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "deep" / f"table.{suffix}"
    table = pd.DataFrame(
        {
            "epoch": [0, 1],
            "train/loss": [0.1 + 0.2, np.nan],
            "name": ["NA", 'a "quoted", é'],
            "rate": [1e-300, 1 / 3],
        },
        index=[7, 9],
    )
    dataset = TableDataset(str(path))
    assert not dataset.exists()
    dataset.save(table)
    assert dataset.exists()
    pd.testing.assert_frame_equal(dataset.load(), table.reset_index(drop=True), check_exact=True)
    first = path.read_bytes()
    dataset.save(table)
    assert path.read_bytes() == first


def test_csv_is_plain_text(tmp_path: Path) -> None:
    dataset = TableDataset(str(tmp_path / "a.csv"))
    dataset.save(pd.DataFrame({"epoch": [0, 1], "lr": [0.002, 1e-5]}))
    assert (tmp_path / "a.csv").read_bytes() == b"epoch,lr\n0,0.002\n1,1e-05\n"


@pytest.mark.parametrize(("name", "content"), [("a.json", b"{"), ("a.parquet", b"PAR1"), ("a.csv", b"")])
def test_a_file_that_is_missing_or_damaged_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    dataset = JsonDataset(str(tmp_path / name)) if name.endswith("json") else TableDataset(str(tmp_path / name))
    assert cause(dataset.load) == f"'{tmp_path / name}' is missing; run the stage that makes it"
    (tmp_path / name).write_bytes(content)
    said = cause(dataset.load)
    assert said.startswith(f"'{tmp_path / name}' cannot be read (")
    assert said.endswith("); remove it and run the stage that makes it")


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.parquet"])
def test_a_failed_writing_keeps_the_old_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    dataset: Any = JsonDataset(str(path)) if name.endswith("json") else TableDataset(str(path))
    data: Any = {"a": 1} if name.endswith("json") else pd.DataFrame({"a": [1]})
    dataset.save(data)
    before = path.read_bytes()
    monkeypatch.setattr("fovea.core.files.os.fsync", _full)
    assert f"writing {path} failed: the disk is full" in cause(dataset.save, data)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def _full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_importing_it_is_light() -> None:
    heavy = {"torch", "mlflow", "albumentations", "pandas", "pyarrow", "pydantic", "requests"}
    code = (
        "import sys, kedro.io; before = set(sys.modules); import fovea.kedro_io; "
        f"print(sorted((set(sys.modules) - before) & {heavy!r}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
