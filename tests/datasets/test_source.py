from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import RunError, UserError
from fovea.datasets import SourceFile, SourceFiles
from fovea.datasets.source import raw_folder


def entry(role: str, name: str, content: bytes, origin: str = "https://a.example/") -> SourceFile:
    return SourceFile(role, name, len(content), hashlib.sha256(content).hexdigest(), origin)


@pytest.fixture
def source(tmp_path: Path) -> SourceFiles:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, content in {"a.gz": b"aaa", "b.gz": b"bb", "a.gz.part": b"x", ".a.gz.json": b"{}"}.items():
        (folder / name).write_bytes(content)
    return SourceFiles(folder, "tiny", (entry("images", "a.gz", b"aaa"), entry("labels", "b.gz", b"bb")))


def test_only_the_files_and_their_note_are_published(source: SourceFiles, tmp_path: Path) -> None:
    target = tmp_path / "02_intermediate" / "source"
    source.publish(target)
    assert sorted(path.name for path in target.iterdir()) == ["a.gz", "b.gz", "source.json"]
    assert (target / "a.gz").samefile(source.path / "a.gz")
    assert json.loads((target / "source.json").read_text()) == {
        "name": "tiny",
        "files": [
            {
                "role": "images",
                "name": "a.gz",
                "bytes": 3,
                "sha256": source.entries[0].sha256,
                "origin": "https://a.example/",
            },
            {
                "role": "labels",
                "name": "b.gz",
                "bytes": 2,
                "sha256": source.entries[1].sha256,
                "origin": "https://a.example/",
            },
        ],
    }


def test_what_was_published_opens_as_the_same_source(source: SourceFiles, tmp_path: Path) -> None:
    source.publish(tmp_path / "out")
    opened = SourceFiles.open(tmp_path / "out")
    assert opened.entries == source.entries
    assert opened.digest == source.digest
    assert opened.files["labels"] == tmp_path / "out" / "b.gz"


@pytest.mark.parametrize(
    ("meddle", "words"),
    [
        (
            lambda folder: (folder / "source.json").unlink(),
            "source.json' is missing; run `kedro run --pipelines=ingest`",
        ),
        (lambda folder: (folder / "a.gz").unlink(), "a.gz' is missing; run"),
        (lambda folder: (folder / "b.gz").write_bytes(b"b"), "b.gz' has 1 bytes instead of 2; run"),
        (lambda folder: (folder / "source.json").write_text("{"), "source.json' cannot be read"),
        (lambda folder: (folder / "source.json").write_text("[]"), "source.json' cannot be read"),
        (lambda folder: (folder / "source.json").write_text('{"files": [{"x": 1}]}'), "source.json' cannot be read"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(source: SourceFiles, tmp_path: Path, meddle: Any, words: str) -> None:
    target = tmp_path / "out"
    source.publish(target)
    for name in ("a.gz", "b.gz"):  # separate files, so that the source stays as it is
        content = (target / name).read_bytes()
        (target / name).unlink()
        (target / name).write_bytes(content)
    meddle(target)
    with pytest.raises(RunError, match=words):
        SourceFiles.open(target)


def test_a_note_that_leads_out_of_the_folder_is_refused(source: SourceFiles, tmp_path: Path) -> None:
    source.publish(tmp_path / "out")
    note = json.loads((tmp_path / "out" / "source.json").read_text())
    note["files"][0]["name"] = "../raw/a.gz"
    (tmp_path / "out" / "source.json").write_text(json.dumps(note))
    with pytest.raises(RunError, match=r"cannot be read \(.*must be a plain name"):
        SourceFiles.open(tmp_path / "out")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is missing; run `kedro run --pipelines=ingest`"):
        SourceFiles.open(tmp_path / "nowhere")


def test_publishing_a_file_that_has_gone_keeps_what_was_there(source: SourceFiles, tmp_path: Path) -> None:
    source.publish(tmp_path / "out")
    (source.path / "b.gz").unlink()
    with pytest.raises(RunError, match=r"b.gz' is not there any more; run `kedro run --pipelines=ingest`"):
        source.publish(tmp_path / "out")
    assert (tmp_path / "out" / "b.gz").read_bytes() == b"bb"


def test_raw_files_lie_at_the_root_that_copies_share(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert raw_folder("mnist") == root / "data/01_raw/mnist"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert raw_folder("mnist") == tmp_path / "main/data/01_raw/mnist"
    with pytest.raises(UserError, match=r"data.name is '../x' but must be a plain name"):
        raw_folder("../x")
