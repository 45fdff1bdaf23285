"""`kedro register` and `kedro promote` on runs of a database of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result
from mlflow import MlflowClient

from fovea import tracking
from fovea.core.digest import file_digest

pytestmark = pytest.mark.slow

Kedro = Callable[..., Result]
Make = Callable[..., str]

RIGHT = "abcabcabcabc"
WORSE = "bbcabcabcabc"
BAD = "bcacabcabcab"
OPEN = ("promote.min_acc=0.5", "promote.min_class_recall=0.5")


@pytest.fixture(autouse=True)
def _root(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEA_ROOT", str(own_project))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def client(own_project: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{own_project / 'mlflow.db'}")


@pytest.fixture
def make(own_project: Path) -> Make:
    """Makes a run that was tested on twelve pictures and, with weights, delivered; gives its id."""

    def run(name: str, predicted: str = RIGHT, weights: str = "", data: str = "digits", **changes: Any) -> str:
        tracking.configure({"uri": None, "experiment": "fovea"}, tracking.RunFacts(overrides=["seed=1"]))
        folder = own_project / "made" / name
        table = pd.DataFrame({"id": changes.get("ids", list("lmnopqrstuvw")), "label": list(RIGHT)})
        with tracking.stage("train", folder / "run.json", name, {"data": {"name": data}}) as opened:
            put(opened, folder / "model.json", {"parameters": changes.get("parameters", 100)}, "model")
        with tracking.stage("evaluate", folder / "run.json") as opened:
            table.assign(predicted=list(predicted)).to_parquet(folder / "predictions.parquet")
            opened.log_artifact(folder / "predictions.parquet", "predictions")
            opened.log_metrics({"test/acc": 0.5, "test/ece": changes.get("ece", 0.01), **changes.get("metrics", {})})
            opened.set_tags(changes.get("tags", {}))
        if weights:
            with tracking.stage("export", folder / "run.json") as opened:
                deliver(opened, folder, weights, changes.get("temperature"))
        assert opened.run_id is not None
        return opened.run_id

    return run


def put(run: tracking.Run, path: Path, content: Any, folder: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    run.log_artifact(path, folder)


def deliver(run: tracking.Run, folder: Path, weights: str, temperature: float | None = None) -> None:
    put(run, folder / "model.onnx", weights, "export/pyfunc/data/classifier")
    known = {"transforms": [], "temperature": temperature}
    put(run, folder / "classifier.json", known, "export/pyfunc/data/classifier")
    facts = {"files": {"model.onnx": file_digest(folder / "model.onnx")}, "classes": list("abc"), "opset": 18}
    facts["temperature"] = temperature
    put(run, folder / "export.json", {**facts, "input": "images: uint8", "output": "logits: float32"}, "export")


def aliases(client: MlflowClient, name: str = "digits") -> dict[str, int]:
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


def records(client: MlflowClient, run_id: str) -> list[dict[str, Any]]:
    names = sorted(one.path for one in client.list_artifacts(run_id, "promotion"))
    return [json.loads(Path(client.download_artifacts(run_id, name)).read_text()) for name in names]


def test_a_run_is_registered_once(kedro: Kedro, make: Make, client: MlflowClient) -> None:
    run_id = make("one", weights="first")
    result = kedro("register", "latest", "registry.licence=mit")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("one is version 1 of 'digits'\n")
    version = client.get_model_version("digits", "1")
    assert version.run_id == run_id
    card = Path(client.download_artifacts(run_id, "README.md")).read_text()
    assert (version.description, card[:17]) == (card, "---\nlicense: mit\n")
    assert (Path(version.source.removeprefix("file://")) / "README.md").read_text() == card
    assert {name: version.tags[name] for name in ("run_name", "data", "licence", "classes", "preprocessing")} == {
        "run_name": "one",
        "data": "digits",
        "licence": "mit",
        "classes": '["a", "b", "c"]',
        "preprocessing": "images: uint8; transforms before: []",
    }
    again = kedro("register", run_id[:8])
    assert (again.exit_code, "already, with the same weights; nothing was registered" in again.stdout) == (0, True)
    assert len(client.search_model_versions("name = 'digits'")) == 1


def test_other_weights_of_a_run_leave_the_registered_ones_as_they_are(
    kedro: Kedro, make: Make, client: MlflowClient, own_project: Path
) -> None:
    make("one", weights="first")
    assert kedro("register", "one").exit_code == 0
    with tracking.stage("export", own_project / "made/one/run.json") as opened:
        deliver(opened, own_project / "made/one", "second")
    assert "version 2 of 'digits'" in kedro("register", "one").stdout
    kept = [Path(client.get_model_version("digits", number).source.removeprefix("file://")) for number in "12"]
    assert [(folder / "data/classifier/model.onnx").read_text() for folder in kept] == ["first", "second"]


def test_the_champion_changes_for_a_better_model_and_back(kedro: Kedro, make: Make, client: MlflowClient) -> None:
    old, same = make("old", WORSE, "old"), make("same", RIGHT, "same")
    make("small", WORSE, "small", parameters=10)
    for name in ("old", "same", "small"):
        assert kedro("register", name).exit_code == 0
    dry = kedro("promote", "old", "--dry-run", *OPEN)
    assert dry.exit_code == 0, dry.output
    assert "Nothing was changed; it would be promoted: version 1 (old)" in dry.stdout
    assert (aliases(client), records(client, old)) == ({}, [])

    first = kedro("promote", "old", *OPEN)
    assert (first.exit_code, aliases(client)) == (0, {"champion": 1}), first.output
    assert "there was no champion before, and it passes every floor" in first.stdout
    [record] = records(client, old)
    assert (record["outcome"], record["champion_before"], record["numbers"]["challenger"]["acc"]) == (
        "promoted",
        None,
        pytest.approx(11 / 12),
    )
    assert (record["config"]["min_acc"], record["origin"]["command"]) == (0.5, " ".join(["kedro promote old", *OPEN]))

    refused = kedro("promote", "same", *OPEN)  # right once more of twelve is chance
    assert (refused.exit_code, refused.stderr.count("Traceback"), aliases(client)) == (1, 0, {"champion": 1})
    assert "refused: version 2 (same) does not become the champion of 'digits', version 1 (old) stays" in refused.stdout
    assert records(client, same)[0]["outcome"] == client.get_run(same).data.tags["promotion"] == "refused"
    assert client.get_model_version("digits", "2").tags["promotion.champion_before"] == "version 1 (old)"

    unsure = kedro("promote", "small", *OPEN)  # twelve pictures without a difference show that it is at most 26 points
    assert (unsure.exit_code, aliases(client)) == (1, {"champion": 1}), unsure.output
    assert "not worse: at worst -26.46 points" in unsure.stdout
    smaller = kedro("promote", "small", *OPEN, "promote.margin=0.3")
    assert (smaller.exit_code, aliases(client)) == (0, {"champion": 3, "previous": 1}), smaller.output
    assert "cheaper (0.10 of the champion's parameters)" in smaller.stdout
    assert kedro("promote", "small", *OPEN).exit_code == 2

    back = kedro("promote", "--rollback")
    assert (back.exit_code, aliases(client)) == (0, {"champion": 1, "previous": 3}), back.output
    assert "restored: version 1 (old) is the champion of 'digits' now, in the place of version 3 (small)" in back.stdout
    assert [one["outcome"] for one in records(client, old)] == ["promoted", "restored"]

    client.set_registered_model_alias("digits", "previous", "1")  # as a kill between the two aliases leaves them
    cut = kedro("promote", "--rollback")
    assert (cut.exit_code, aliases(client)) == (2, {"champion": 1, "previous": 1}), cut.output
    assert "version 1 (old) is both champion and previous champion of 'digits'" in cut.stderr


def test_mistakes_are_told_in_one_sentence(kedro: Kedro, make: Make, client: MlflowClient, own_project: Path) -> None:
    champion = make("one", weights="first")
    make("bare")
    make("mnist", weights="m", data="mnist")
    make("other", weights="o", ids=list("123456789xyz"))
    lost, cut = make("lost", weights="l"), make("cut", weights="c")
    experiment = client.get_run(champion).info.experiment_id
    client.create_run(experiment, run_name="study", tags={"stage.crossval": "done"})
    client.create_run(experiment, run_name="vote", tags={"stage.ensemble": "done"})
    client.create_run(experiment, run_name="part", tags={"fold": "1/5", "mlflow.parentRunId": champion})
    assert kedro("promote", "--rollback").exit_code == 2  # nothing is registered yet
    for name in ("one", "other", "cut"):
        assert kedro("register", name).exit_code == 0
    assert kedro("promote", "one").exit_code == 0
    files = own_project / "mlartifacts"
    [weights] = (files / cut / "artifacts/registered").rglob("model.onnx")
    weights.unlink()
    for path in (files / lost / "artifacts/export").rglob("*.*"):
        path.unlink()
    before = aliases(client)
    for words, code, sentence in (
        (("register", "oen"), 2, "there is no run 'oen' in the experiment 'fovea'; did you mean 'one'?"),
        (("register", "bare"), 2, "holds no delivered model; deliver it: `kedro run seed=1`, which brings that model"),
        (("register", "lost"), 1, f"the run 'lost' ({lost}) was exported, but has no export/pyfunc"),
        (("register", "study"), 2, "is a cross-validation, not one model; name the run of one training"),
        (("register", "vote"), 2, "is an ensemble, not one model"),
        (("register", "part"), 2, "is fold 1/5 of a cross-validation"),
        (("register", "mnist", "--name", "digits"), 2, "the run is of the data 'mnist', and version"),
        (("register", "one", "--name", "a/b"), 2, "'registry.name' = 'a/b' is wrong"),
        (("register", "one", "registry.license=mit"), 2, "unknown key 'registry.license' = 'mit'; did you mean"),
        (("promote",), 2, "no run is named"),
        (("promote", "one", "--rollback"), 2, "takes no run; leave 'one' out"),
        (("promote", "study"), 2, "is a cross-validation, not one model"),
        (("promote", "bare"), 2, "has no version of 'digits'; register it first: `kedro register"),
        (("promote", "one"), 2, "version 1 (one) is the champion of 'digits' already"),
        (("promote", "other"), 2, "were tested on different pictures"),
        (("promote", "cut"), 1, f"model.onnx of the run 'cut' ({cut}) was deleted: version 3 (cut) cannot be loaded"),
        (("promote", "one", "promote.min_ac=0.1"), 2, "unknown key 'promote.min_ac' = 0.1; did you mean 'min_acc'?"),
        (("promote", "--rollback"), 2, "'digits' has no previous champion to go back to"),
    ):
        result = kedro(*words)
        assert (result.exit_code, sentence in result.stderr) == (code, True), f"{words}: {result.output}"
        assert "Traceback" not in result.output
    assert (aliases(client), len(client.search_model_versions(""))) == (before, 3)


def test_a_champion_that_cannot_be_compared_with_is_named(kedro: Kedro, make: Make, client: MlflowClient) -> None:
    champion = make("old", weights="old")
    make("new", weights="new")
    for name in ("old", "new"):
        assert kedro("register", name).exit_code == 0
    assert kedro("promote", "old").exit_code == 0
    client.delete_run(champion)
    result = kedro("promote", "new")
    assert result.exit_code == 2
    assert "the champion of 'digits', version 1 (old), cannot be compared with: the run" in result.stderr
    assert f"mlflow runs restore --run-id {champion}" in result.stderr


def test_a_bad_model_becomes_no_champion(kedro: Kedro, make: Make, client: MlflowClient) -> None:
    make("bad", BAD, weights="bad", ece=0.5)
    assert kedro("register", "bad").exit_code == 0
    result = kedro("promote", "bad")
    assert (result.exit_code, aliases(client)) == (1, {})
    for words in (
        "accuracy: 0.0000, wanted at least 0.5",
        "calibration error: 0.5000, wanted at most 0.1",
        "there is none",
    ):
        assert words in result.stdout


def test_the_calibration_error_is_judged_as_it_is_served(kedro: Kedro, make: Make, client: MlflowClient) -> None:
    scaled = {"test/ece_scaled": 0.02, "calibration/temperature": 1.5}
    make("plain", weights="plain", ece=0.3, metrics=scaled)
    served = make("served", weights="served", ece=0.3, metrics=scaled, temperature=1.5)
    for name in ("plain", "served"):
        assert kedro("register", name).exit_code == 0
    refused = kedro("promote", "plain", *OPEN)
    assert (refused.exit_code, "calibration error: 0.3000, wanted at most 0.1" in refused.stdout) == (1, True)
    passed = kedro("promote", "served", *OPEN)
    assert (passed.exit_code, aliases(client)) == (0, {"champion": 2}), passed.output
    assert records(client, served)[0]["numbers"]["challenger"]["ece"] == 0.02


def test_numbers_of_other_data_are_told_and_promote_nobody(
    kedro: Kedro, make: Make, client: MlflowClient, own_project: Path
) -> None:
    trained = {"data_digest": "1" * 64, "overrides": "seed=1"}
    run_id = make("one", weights="first", tags=trained | {"evaluated_data_digest": "2" * 64})
    made = kedro("register", "one")
    assert made.exit_code == 0, made.output
    told = "'one' was tested on 'digits' (digest 222222222222) and trained on 'digits' (digest 111111111111): some of"
    assert f"register: {told}" in made.output
    assert client.get_model_version("digits", "1").tags["evaluated_data_digest"] == "2" * 64
    again = kedro("promote", "one")
    assert (again.exit_code, told in again.stderr) == (2, True), again.output
    assert (
        "test it again by `kedro run seed=1`, which makes that model again and tests it, then promote" in again.stderr
    )
    model = own_project / "data/06_models/model"
    model.mkdir(parents=True)
    (model / "run.json").write_text((own_project / "made/one/run.json").read_text())
    at_hand = kedro("promote", "one")
    assert "test it again by `kedro run --pipelines=ingest,prepare,evaluate seed=1`, then promote" in at_hand.stderr
    client.set_tag(run_id, "evaluated_data_digest", "1" * 64)
    assert kedro("promote", "one").exit_code == 0


def test_a_registry_out_of_reach_and_no_database(kedro: Kedro, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (("register", "one"), ("promote", "one"), ("promote", "--rollback")):
        result = kedro(*words)
        assert (result.exit_code, "there is no MLflow database" in result.stderr) == (2, True), result.output
    assert not Path("mlflow.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for words in (("register", "one"), ("promote", "one"), ("promote", "--rollback")):
        result = kedro(*words)
        assert (result.exit_code, "MLflow at http://127.0.0.1:9 is out of reach" in result.stderr) == (1, True)
