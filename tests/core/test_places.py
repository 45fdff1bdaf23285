from __future__ import annotations

from pathlib import Path

import pytest

from fovea.core.errors import UserError
from fovea.core.places import from_home, project_root, shared_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    (root / "notebooks" / "deep").mkdir(parents=True)
    return root


def test_the_root_is_found_from_below(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "notebooks" / "deep")
    assert project_root() == root
    assert shared_root() == root


def test_the_variable_names_the_root_and_nothing_above_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    assert project_root() == root
    monkeypatch.setenv("FOVEA_ROOT", str(root / "notebooks"))
    with pytest.raises(UserError, match="notebooks' is not inside a Fovea project"):
        project_root()


def test_outside_of_a_project_the_way_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="change to one or set FOVEA_ROOT"):
        project_root()


def test_copies_of_dvc_share_the_main_root(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert shared_root() == tmp_path / "main"
    assert project_root() == root


def test_a_path_may_begin_with_a_home_folder_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert from_home("~/pets") == Path("/home/me/pets")
    assert from_home("~") == Path("/home/me")
    for text in ("~$IMG_1.jpg", "~IMG_1.jpg", "~no such user/a.png", "pets/~", "/pets", ""):
        assert from_home(text) == Path(text)
