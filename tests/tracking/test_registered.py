"""From a name in the registry to the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea import tracking
from fovea.core.errors import RunError, UserError
from fovea.tracking.finding import find_run
from fovea.tracking.registered import fetch_registered


def register(folder: Path, name: str, weights: str) -> tuple[str, Path]:
    """Registers the model of a run as version 1 of `digits`, the champion; gives the run's id and the artifacts."""
    folder.mkdir()
    (folder / "model.json").write_text(weights)
    with tracking.stage("train", folder / "run.json", name) as run:
        run.log_artifact(folder / "model.json", "model")
    found = find_run(name)
    client, source = found.store.client, f"{found.run.info.artifact_uri}/model"
    client.create_registered_model("digits")
    client.create_model_version("digits", source, run_id=found.run_id)
    client.set_registered_model_alias("digits", "champion", "1")
    return found.run_id, Path(source.removeprefix("file://"))


@pytest.fixture
def registered(root: Path, tmp_path: Path, configure: Callable[..., None]) -> tuple[str, Path]:
    """What `register` gives, of a first run."""
    configure()
    return register(tmp_path / "one", "one", "weights")


@pytest.mark.parametrize("uri", ["models:/digits@champion", "models:/digits/1"])
def test_a_model_is_found_by_alias_and_by_version_and_kept(root: Path, registered: Any, uri: str) -> None:
    run_id, artifacts = registered
    found = fetch_registered(uri, root / "members")
    assert (found.run_id, found.name) == (run_id, "digits version 1")
    assert (found.path / "model.json").read_text() == "weights"
    shutil.rmtree(artifacts)
    assert fetch_registered(uri, root / "members") == found


@pytest.mark.parametrize("is_another_store", [True, False])
def test_another_version_of_the_same_name_and_number_is_fetched_anew(
    root: Path, tmp_path: Path, registered: Any, configure: Callable[..., None], *, is_another_store: bool
) -> None:
    uri, cache = "models:/digits@champion", root / "members"
    first = fetch_registered(uri, cache)
    if is_another_store:
        configure(uri=f"sqlite:///{tmp_path}/other/mlflow.db")
    else:
        find_run("one").store.client.delete_registered_model("digits")
    run_id, _ = register(tmp_path / "two", "two", "other weights")
    second = fetch_registered(uri, cache)
    assert (second.run_id, second.name) == (run_id, "digits version 1")
    assert (second.path / "model.json").read_text() == "other weights"
    assert (first.path / "model.json").read_text() == "weights"


def test_a_version_made_anew_of_the_same_run_is_fetched_anew(root: Path, registered: Any) -> None:
    run_id, artifacts = registered
    first = fetch_registered("models:/digits/1", root / "members")
    client = find_run("one").store.client
    (artifacts / "model.json").write_text("other weights")
    client.delete_registered_model("digits")
    client.create_registered_model("digits")
    client.create_model_version("digits", artifacts.as_uri(), run_id=run_id)
    second = fetch_registered("models:/digits/1", root / "members")
    assert (second.path / "model.json").read_text() == "other weights"
    assert first.run_id == second.run_id == run_id


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("models:/digits@champian", "the registered model 'digits' has no alias 'champian'; did you mean 'champion'"),
        ("models:/digits/7", "the registered model 'digits' has no version 7"),
        ("models:/digts@champion", "there is no registered model 'digts', as '.*' says; did you mean 'digits'"),
        ("models:/digits", "is no registered model; write models:/NAME@alias or models:/NAME/version"),
        ("models:/../x@champion", "is no registered model"),
    ],
)
def test_what_is_not_registered_is_told_with_the_nearest(root: Path, registered: Any, uri: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        fetch_registered(uri, root / "members")
    assert not list(root.glob("members/**/*.json"))


def test_deleted_files_are_told(root: Path, registered: Any) -> None:
    shutil.rmtree(registered[1])
    with pytest.raises(
        UserError, match="the files of the model 'models:/digits/1' were deleted from MLflow's artifact"
    ):
        fetch_registered("models:/digits/1", root / "members")
    assert not list((root / "members").rglob("*.tmp"))


def test_no_database_is_made_by_looking(bare_root: Path, configure: Callable[..., None]) -> None:
    configure()
    with pytest.raises(UserError, match="there is no MLflow database at"):
        fetch_registered("models:/digits@champion", bare_root / "members")
    assert not list(bare_root.glob("mlflow.db*"))


def test_a_server_out_of_reach_is_one_sentence(root: Path, configure: Callable[..., None]) -> None:
    configure(uri="http://127.0.0.1:9")
    with pytest.raises(
        RunError, match=r"the model 'models:/digits/1' cannot be fetched: MLflow at http://127.0.0.1:9 is"
    ):
        fetch_registered("models:/digits/1", root / "members")
