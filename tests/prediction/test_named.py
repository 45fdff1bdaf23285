"""What `predict.model` may name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fovea import tracking
from fovea.core.errors import UserError
from fovea.prediction import named
from fovea.prediction.predictor import Predictor
from fovea.tracking import finding, registered
from fovea.tracking.finding import FetchedModel


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, beside which the commands run."""
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return root


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> list[Path]:
    """The paths that were opened."""
    paths: list[Path] = []
    monkeypatch.setattr(named, "open_path", lambda path: paths.append(path) or predictor)
    return paths


def test_a_path_leads_from_here_or_from_the_root(root: Path, opened: list[Path]) -> None:
    (root / "data").mkdir()
    Path("here.onnx").touch()
    for text in ("data", str(root / "data"), "here.onnx"):
        assert named.open_named(text).words == "shades"
    assert opened == [root / "data", root / "data", Path("here.onnx")]


@pytest.mark.parametrize("text", ["no/such/model", "model.onnx", "step-1.ckpt", "./model", "~model.onnx"])
def test_a_path_that_leads_nowhere_is_told(text: str) -> None:
    with pytest.raises(UserError, match=f"there is no file or folder '{text}'"):
        named.open_named(text)


def test_a_run_is_fetched_into_the_project(root: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(text: str, cache: Path) -> FetchedModel:
        assert cache == root / "data/06_models/_members"
        return FetchedModel(cache / text, "ab" * 16, "lenet5-digits-0123abcd")

    monkeypatch.setattr(finding, "fetch_model", fetch)
    predictor = named.open_named("latest")
    assert (predictor.words, predictor.run_id) == ("lenet5-digits-0123abcd", "ab" * 16)
    assert opened == [root / "data/06_models/_members/latest"]


def test_a_registered_model_is_fetched(opened: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "fetch_registered", lambda uri, cache: FetchedModel(cache, "", "digits version 3"))
    predictor = named.open_named("models:/digits@champion")
    assert (predictor.words, predictor.run_id) == ("digits version 3, models:/digits@champion", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lenet5-digits-1", "there is no run 'lenet5-digits-1': there is no MLflow database"),
        ("models:/digits@champion", "there is no model 'models:/digits@champion': there is no MLflow database"),
        ("runs:/0123/model", "name the run alone"),
    ],
)
def test_what_is_not_there_is_told(root: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        named.open_named(text)
    assert sorted(path.name for path in root.iterdir()) == ["conf", "pyproject.toml"]


@pytest.mark.parametrize("text", ["latest", "models:/digits@champion"])
def test_a_server_that_is_not_reached_is_the_users_to_mend(text: str, monkeypatch: Any) -> None:
    tracking.configure({"experiment": "fovea", "uri": "http://127.0.0.1:9", "on_error": "continue"})
    with pytest.raises(
        UserError, match=r"predict\.model: the .*cannot be fetched: MLflow at http://127.0.0.1:9 is out"
    ):
        named.open_named(text)
