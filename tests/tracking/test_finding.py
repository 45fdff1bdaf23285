"""From a run's name or id to the model that it holds; several runs in one session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea import tracking
from fovea.core.errors import RunError, UserError
from fovea.tracking.finding import fetch_model, find_run


@pytest.fixture
def trained(root: Path, tmp_path: Path, configure: Callable[..., None]) -> Callable[..., str]:
    """Makes a run with a model of one file, in a session of its own; gives its id."""

    def make(name: str, text: str = "weights", *, fails: bool = False) -> str:
        configure()
        folder = tmp_path / f"{name}-{text}"
        folder.mkdir()
        (folder / "model.json").write_text(text)
        try:
            with tracking.stage("train", folder / "run.json", name) as run:
                if text:
                    run.log_artifact(folder / "model.json", "model")
                if fails:
                    raise RuntimeError("no")
        except RuntimeError:
            pass
        assert run.run_id is not None
        return run.run_id

    return make


def text_of(named: str, root: Path) -> str:
    return (fetch_model(named, root / "members").path / "model.json").read_text()


def test_a_run_is_found_by_name_and_by_id(root: Path, trained: Any) -> None:
    run_id, other = trained("lenet5-digits-1", "one"), trained("lenet5-digits-2", "two")
    assert text_of("lenet5-digits-1", root) == text_of(run_id, root) == "one"
    assert text_of(other, root) == "two"
    found = fetch_model("lenet5-digits-2", root / "members")
    assert (found.run_id, found.name, found.path) == (other, "lenet5-digits-2", root / "members" / other / "model")
    assert sorted(path.name for path in (root / "members").iterdir()) == sorted([run_id, other])


def test_what_was_fetched_is_not_fetched_again(root: Path, trained: Any) -> None:
    run_id = trained("one")
    fetch_model("one", root / "members")
    (root / "members" / run_id / "model" / "model.json").write_text("kept")
    assert text_of("one", root) == "kept"


def test_of_equal_names_the_newest_that_finished_is_taken_and_told(
    root: Path, trained: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trained("same", "old")
    newer = trained("same", "new")
    trained("same", "failed", fails=True)
    assert text_of("same", root) == "new"
    assert f"3 runs are called 'same'; the newest that finished is taken, {newer}" in caplog.text


def test_an_unknown_name_is_told_with_the_nearest(root: Path, trained: Any) -> None:
    trained("lenet5-digits-0123abcd")
    with pytest.raises(UserError, match=r"no run 'lenet5-digits-0123abce' in the exp.*mean 'lenet5-digits-0123abcd'\?"):
        fetch_model("lenet5-digits-0123abce", root / "members")
    for odd in ("it's", "0" * 32):
        with pytest.raises(UserError, match=f"no run '{odd}' in the experiment 'fovea'"):
            fetch_model(odd, root / "members")
    assert not (root / "members").exists()


def test_a_run_without_a_model_is_told(root: Path, trained: Any) -> None:
    run_id = trained("empty", "")
    with pytest.raises(UserError, match=rf"the run 'empty' \({run_id}, FINISHED\) holds no trained model"):
        fetch_model("empty", root / "members")


def test_no_database_is_made_by_looking(bare_root: Path, configure: Callable[..., None]) -> None:
    configure()
    with pytest.raises(UserError, match="there is no run 'one': there is no MLflow database at"):
        fetch_model("one", bare_root / "members")
    assert not list(bare_root.glob("mlflow.db*"))


def test_a_server_out_of_reach_is_one_sentence(root: Path, configure: Callable[..., None]) -> None:
    configure(uri="http://127.0.0.1:9")
    with pytest.raises(
        RunError, match=r"'one' cannot be fetched: MLflow at http://127.0.0.1:9 is out of reach \(nothing"
    ):
        fetch_model("one", root / "members")


def test_a_run_among_several_ends_before_the_session(
    root: Path, tmp_path: Path, configure: Callable[..., None], runs: Any
) -> None:
    def states() -> dict[str, str]:
        return {run.info.run_name: run.info.status for run in runs()}

    configure()
    tracking.hold_open()
    with tracking.stage("crossval", tmp_path / "parent.json", "parent"):
        for name in ("one", "two"):
            record = tmp_path / f"{name}.json"
            with tracking.stage("train", record, name):
                pass
            assert states() == {"parent": "RUNNING", **({"one": "FINISHED"} if name == "two" else {}), name: "RUNNING"}
            tracking.finish(record)
            tracking.finish(record)  # has ended, and stays so
        tracking.finish(tmp_path / "nothing.json")
        with pytest.raises(RuntimeError, match="no"), tracking.stage("train", tmp_path / "three.json", "three"):
            raise RuntimeError("no")
        assert states() == {"parent": "RUNNING", "one": "FINISHED", "two": "FINISHED", "three": "FAILED"}
    tracking.close("FINISHED")
    assert states() == {"parent": "FINISHED", "one": "FINISHED", "two": "FINISHED", "three": "FAILED"}
    assert tracking.recorded_id(tmp_path / "one.json") in {run.info.run_id for run in runs()}
    assert tracking.recorded_id(tmp_path / "nothing.json") is None


def test_the_latest_is_the_newest_that_finished_and_the_beginning_of_an_id_is_enough(root: Path, trained: Any) -> None:
    trained("one", "old")
    newest = trained("two", "new")
    trained("three", "failed", fails=True)
    assert text_of("latest", root) == "new"
    assert find_run(newest[:8]).run_id == newest
    with pytest.raises(UserError, match="no run 'abcdef'"):
        find_run("abcdef")


def test_a_deleted_run_is_told_with_the_way_back(root: Path, trained: Any, client: Any) -> None:
    run_id = trained("one")
    client.delete_run(run_id)
    with pytest.raises(UserError, match=f"was deleted; bring it back with `mlflow runs restore --run-id {run_id}`"):
        find_run(run_id)


def test_an_artifact_is_brought_or_is_none(root: Path, trained: Any, tmp_path: Path) -> None:
    found = find_run(trained("one", "content"))
    path = found.artifact("model/model.json", tmp_path)
    assert path is not None
    assert path.read_text() == "content"
    assert found.artifact("model/other.json", tmp_path) is None
    assert found.artifact("nothing/model.json", tmp_path) is None
