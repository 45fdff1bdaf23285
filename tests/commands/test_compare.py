"""`kedro compare` on runs of a database of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from mlflow import MlflowClient

from fovea import tracking

Kedro = Callable[..., Result]
FOLDER = Path("data/08_reporting/compare")


@pytest.fixture(autouse=True)
def _root(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEA_ROOT", str(own_project))


@pytest.fixture
def make(own_project: Path) -> Callable[..., str]:
    """Makes a run that was tested on three pictures; gives its id."""

    def run(name: str, predicted: str = "abc", ids: str = "xyz", data: str = "digits", **facts: str) -> str:
        tracking.configure({"uri": None, "experiment": "fovea"}, tracking.RunFacts(command=f"kedro run {name}"))
        folder = own_project / "made" / name
        folder.mkdir(parents=True)
        table = pd.DataFrame({"id": list(ids), "label": list("abc"), "predicted": list(predicted)})
        table.to_parquet(folder / "predictions.parquet")
        (folder / "model.json").write_text('{"parameters": 7}')
        with tracking.stage("train", folder / "run.json", name, {"data": {"name": data}, **facts}) as opened:
            opened.log_artifact(folder / "model.json", "model")
        if ids:
            with tracking.stage("evaluate", folder / "run.json") as opened:
                opened.log_artifact(folder / "predictions.parquet", "predictions")
                opened.log_metrics({"test/acc": 0.5, "test/acc_low": 0.4, "test/acc_high": 0.6})
        assert opened.run_id is not None
        return opened.run_id

    return run


def test_two_runs_in_the_terminal_and_as_a_page(
    kedro: Kedro, make: Callable[..., str], own_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    first, second = make("one", "abc", seed="0"), make("two", "axx", seed="1")
    result = kedro("compare", "one", "latest")
    assert result.exit_code == 0, result.output
    for words in (
        "0.5000 [0.4000, 0.6000]",
        "seed",
        "two, right to wrong: y, z",
        "two and one: no difference is shown",
    ):
        assert words in result.stdout
    folder = own_project / FOLDER / f"{first[:8]}-{second[:8]}"
    assert result.stdout.endswith(f"The page is {folder / 'compare.html'}\n")
    assert sorted(path.name for path in folder.iterdir()) == ["changed.csv", "compare.html"]
    assert "kedro run two" in (folder / "compare.html").read_text()
    by_folder = kedro("compare", "made/one", second[:9], "--output", "elsewhere")
    assert by_folder.exit_code == 0, by_folder.output
    elsewhere = own_project / "elsewhere"
    (elsewhere / "notes.md").write_text("mine")
    (elsewhere / "changed.csv").unlink()
    first_page = (elsewhere / "compare.html").read_text()
    again = kedro("compare", "two", "one", "--output", "elsewhere")
    assert again.exit_code == 0, again.output
    assert sorted(path.name for path in elsewhere.iterdir()) == ["changed.csv", "compare.html", "notes.md"]
    assert (elsewhere / "notes.md").read_text() == "mine"
    assert (elsewhere / "compare.html").read_text() != first_page


@pytest.mark.slow
def test_wrong_runs_are_told_in_one_sentence(kedro: Kedro, make: Callable[..., str], own_project: Path) -> None:
    first = make("one")
    deleted, gone = make("deleted"), make("gone")
    make("other", data="mnist")
    make("strange", ids="uvw")
    client = MlflowClient(f"sqlite:///{own_project / 'mlflow.db'}")
    client.delete_run(deleted)
    experiment = client.get_run(first).info.experiment_id
    client.create_run(experiment, run_name="untested")
    client.create_run(experiment, run_name="fold", tags={"mlflow.parentRunId": first})
    [(artifact)] = (own_project / "mlartifacts" / gone).rglob("predictions.parquet")
    artifact.unlink()
    for words, code, sentence in (
        ((), 2, "a comparison needs two runs, and no run is named"),
        (("one",), 2, "a comparison needs two runs, and only 'one' is named"),
        (("one", first), 2, f"'one' and '{first}' are the same run"),
        (("one", "othre"), 2, "there is no run 'othre' in the experiment 'fovea'; did you mean 'other'?"),
        (("one", deleted), 2, f"was deleted; bring it back with `mlflow runs restore --run-id {deleted}`"),
        (("one", "gone"), 1, f"predictions.parquet of the run 'gone' ({gone}, FINISHED) was deleted"),
        (("one", "untested"), 2, "was not tested"),
        (("one", "fold"), 2, f"is one of several models of the run {first}"),
        (("one", "other"), 2, "'one' was tested on 'digits' and 'other' on 'mnist', different data"),
        (("one", "strange"), 2, "'one' and 'strange' were tested on different pictures"),
        (("one", "strange", "--output", "pyproject.toml"), 2, "--output=pyproject.toml is a file; name a folder"),
    ):
        result = kedro("compare", *words)
        assert (result.exit_code, sentence in result.stderr) == (code, True), result.output
        assert "Traceback" not in result.output
    assert not FOLDER.exists()


@pytest.mark.slow
def test_a_damaged_table_is_told(kedro: Kedro, make: Callable[..., str], own_project: Path) -> None:
    make("one")
    run_id = make("two")
    [(artifact)] = (own_project / "mlartifacts" / run_id).rglob("predictions.parquet")
    artifact.write_bytes(b"no table")
    assert "is damaged" in kedro("compare", "one", "two").stderr
    pd.DataFrame({"id": ["x"], "label": ["a"]}).to_parquet(artifact)
    result = kedro("compare", "one", "two")
    assert (result.exit_code, "has no column predicted" in result.stderr) == (1, True)


def test_a_server_out_of_reach_and_no_database(kedro: Kedro, monkeypatch: pytest.MonkeyPatch) -> None:
    result = kedro("compare", "one", "two")
    assert (result.exit_code, "there is no MLflow database" in result.stderr) == (2, True), result.output
    assert not Path("mlflow.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    result = kedro("compare", "one", "two")
    assert (result.exit_code, "MLflow at http://127.0.0.1:9 is out of reach" in result.stderr) == (1, True)
