from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fovea.core import files
from fovea.core.errors import RunError
from fovea.core.files import (
    atomic_directory,
    atomic_file,
    discard,
    explained,
    link_or_copy,
    publish_directory,
    require_space,
    scratch_directory,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_atomic_file_appears_only_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    assert names(path.parent) == ["a.txt"]


def test_atomic_file_keeps_the_old_content_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fill() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fill()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_atomic_directory_replaces_the_whole_folder(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with atomic_directory(path) as temporary:
        (temporary / "new.txt").write_text("new")
        assert names(path) == ["old.txt"]
    assert names(path) == ["new.txt"]
    assert names(tmp_path) == ["out"]


def test_atomic_directory_keeps_the_old_folder_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")

    def fill() -> None:
        with atomic_directory(path) as temporary:
            (temporary / "new.txt").write_text("new")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match="the disk is full"):
        fill()
    assert names(path) == ["old.txt"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("before", ["file", "symlink"])
def test_atomic_directory_takes_the_place_of_what_is_no_folder(tmp_path: Path, before: str) -> None:
    path, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept.txt").write_text("kept")
    if before == "file":
        path.write_text("a file")
    else:
        path.symlink_to(elsewhere)
    with atomic_directory(path) as temporary:
        (temporary / "new.txt").write_text("new")
    assert not path.is_symlink()
    assert names(path) == ["new.txt"]
    assert names(elsewhere) == ["kept.txt"]


def test_atomic_directory_wins_over_another_process_that_published_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    rename = Path.rename

    def meddled(self: Path, target: Path) -> Path:
        result = rename(self, target)
        if self == path and not path.exists() and not list(tmp_path.glob("meddled")):
            (tmp_path / "meddled").touch()
            path.mkdir()
            (path / "theirs.txt").write_text("theirs")
        return result

    monkeypatch.setattr(Path, "rename", meddled)
    with atomic_directory(path) as temporary:
        (temporary / "ours.txt").write_text("ours")
    assert names(path) == ["ours.txt"]
    assert names(tmp_path) == ["meddled", "out"]


def test_a_failed_swap_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == path and (self / "new.txt").exists():
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(RunError, match="permission denied"), atomic_directory(path) as temporary:
        (temporary / "new.txt").write_text("new")
    assert names(path) == ["old.txt"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.ENOTDIR, "is a file, not a folder"),
        (errno.EISDIR, "a folder stands where the file must go"),
    ],
)
def test_explained_says_what_failed_and_the_way_out(code: int, words: str) -> None:
    with pytest.raises(RunError, match=f"writing x failed: .*{words}"), explained("writing x"):
        raise OSError(code, os.strerror(code))


def test_explained_leaves_other_errors_alone() -> None:
    with pytest.raises(FileNotFoundError), explained("writing x"):
        raise FileNotFoundError(errno.ENOENT, "No such file")


def test_a_file_in_the_place_of_a_parent_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(RunError, match="a part of the path is a file"), atomic_file(tmp_path / "data" / "a.txt"):
        pass
    with pytest.raises(RunError, match="a part of the path is a file"), atomic_file(tmp_path / "data" / "b" / "a.txt"):
        pass


def test_a_folder_in_the_place_of_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with (
        pytest.raises(RunError, match="a folder stands where the file must go"),
        atomic_file(tmp_path / "a.txt") as new,
    ):
        new.write_text("x")
    assert names(tmp_path) == ["a.txt"]


def test_publish_directory_links_every_file(tmp_path: Path) -> None:
    source = tmp_path / "store"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "sub" / "b.txt").write_text("b")
    publish_directory(source, tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "b.txt").read_text() == "b"
    assert (tmp_path / "out" / "a.txt").samefile(source / "a.txt")


def test_publish_directory_refuses_a_source_that_has_gone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("a")
    with pytest.raises(RunError, match="is not there any more"):
        publish_directory(tmp_path / "gone", tmp_path / "out")
    assert names(tmp_path / "out") == ["a.txt"]


def test_link_or_copy_copies_where_no_link_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a")

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    assert not (tmp_path / "b").samefile(tmp_path / "a")


def test_require_space_speaks_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "not" / "there"
    require_space(folder, 1000, "the shards")
    usage = type("usage", (), {"free": 999_999})
    monkeypatch.setattr(files.shutil, "disk_usage", lambda place: usage)
    with pytest.raises(RunError, match=r"the shards need 1\.0 MB in .*/not/there' but the disk has 1\.0 MB left"):
        require_space(folder, 1_000_000, "the shards")
    assert not folder.exists()


@pytest.mark.parametrize("write", [atomic_file, atomic_directory])
def test_what_a_killed_process_left_goes_with_the_next_writing(write: Any, tmp_path: Path) -> None:
    path = tmp_path / "out[1]"

    def die() -> None:
        with write(path) as temporary:
            (temporary / "half" if temporary.is_dir() else temporary).write_text("half")
            os._exit(0)

    child = os.fork()
    if child == 0:
        die()
    os.waitpid(child, 0)
    (left,) = names(tmp_path)
    assert left.startswith(".out[1].")
    foreign, alive = (left.replace(*change) for change in ((files._HOST, "elsewhere"), (f"-{child}-", "-1-")))
    for name in (foreign, alive, left.replace("out", "other")):
        (tmp_path / name).mkdir()
    with write(path) as temporary:
        (temporary / "whole" if temporary.is_dir() else temporary).write_text("whole")
    assert names(tmp_path) == sorted([foreign, alive, left.replace("out", "other"), "out[1]"])


def test_a_scratch_directory_takes_away_those_of_processes_that_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = f"import tempfile; tempfile.tempdir = {str(tmp_path)!r}; from fovea.core.files import *; "
    code += "import os; (scratch_directory() / 'left').touch(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    (left,) = tmp_path.iterdir()
    mine, other = scratch_directory(), scratch_directory()
    assert sorted(tmp_path.iterdir()) == sorted([mine, other])
    assert left not in (mine, other)
    assert list(mine.iterdir()) == []
    assert mine.stat().st_mode & 0o777 == 0o700


def test_a_discarded_folder_is_whole_or_gone_even_if_its_remover_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(files.shutil, "rmtree", lambda *_args, **_kw: os._exit(0))
        discard(tmp_path / "one")
    os.waitpid(child, 0)
    assert len(names(tmp_path)) == 2
    assert "one" not in names(tmp_path)
    discard(tmp_path / "other")
    assert names(tmp_path) == []
    discard(tmp_path / "other")
    assert names(tmp_path) == []
