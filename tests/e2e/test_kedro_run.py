"""`kedro run` as a user meets it: what it leaves behind, how it stops, how it goes on, what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SETTINGS = """\
trainer: {max_epochs: 2, limit_batches: 6}
evaluate: {gallery: 4}
"""

# Refuses and notes every way out of this machine; Python runs it at the start of every process.
GUARD = """\
import os, socket

def _note(host):
    with open(os.environ["FOVEA_TEST_CALLS"], "a") as calls:
        calls.write(f"{host}\\n")
    raise OSError(f"a call to {host} was refused by the test")

_lookup, _connect = socket.getaddrinfo, socket.socket.connect

def getaddrinfo(host, *rest, **more):
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        _note(host)
    return _lookup(host, *rest, **more)

def connect(self, address):
    if isinstance(address, tuple) and address[0] not in ("localhost", "127.0.0.1", "::1"):
        _note(address[0])
    return _connect(self, address)

socket.getaddrinfo, socket.socket.connect = getaddrinfo, connect
"""


def wait_for(happened: Callable[[], object], process: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "the command ended before there was anything to stop"
        assert time.monotonic() < end, "nothing to stop came up"
        time.sleep(0.02)


def points(project: Any, run: Any) -> list[tuple[str, int]]:
    """Key and step of every value that a run logged with a step."""
    with sqlite3.connect(f"file:{project.root}/mlflow.db?mode=ro", uri=True) as database:
        rows = database.execute("select key, step from metrics where run_uuid = ?", (run.info.run_id,)).fetchall()
    return [(key, step) for key, step in rows if step]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(make_project: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A copy of the project after one `kedro run`, which had no way to the outside. Tests leave it as it is."""
    project = make_project("kedro", SETTINGS)
    guard = tmp_path_factory.mktemp("guard")
    (guard / "sitecustomize.py").write_text(GUARD)
    done = project.run(
        "kedro",
        "run",
        "seed=3",
        PYTHONPATH=f"{guard}:{project.environment['PYTHONPATH']}",
        FOVEA_TEST_CALLS=str(guard / "calls"),
    )
    (project.root.parent / "said").write_text(done.stdout + done.stderr)
    calls = guard / "calls"
    (project.root.parent / "calls").write_text(calls.read_text() if calls.exists() else "")
    return project


@pytest.fixture
def again(finished: Any, tmp_path: Path) -> Any:
    """A copy of `finished` that a test may change."""
    shutil.copytree(finished.root, tmp_path / "project", symlinks=True)
    environment = finished.environment | {"PYTHONPATH": str(tmp_path / "project" / "src")}
    return type(finished)(tmp_path / "project", environment)


def test_it_ends_by_saying_what_there_is(finished: Any) -> None:
    said = (finished.root.parent / "said").read_text()
    assert re.search(r"epoch 2/2  train/loss [\d.]+  train/acc [\d.]+  val/loss", said)
    assert re.search(r"test accuracy [\d.]+ % \(95 % interval [\d.]+ to [\d.]+, 1,012 pictures\)", said)
    assert "model   data/06_models/model\n" in said
    assert "report  data/08_reporting/report/report.html\n" in said
    assert re.search(r"runs    make ui  \(this one is lenet5-digits-[0-9a-f]{8}\)", said)
    assert "\x1b" not in said
    assert (finished.root / "data/06_models/model/model.safetensors").is_file()
    assert (finished.root / "data/08_reporting/report/report.html").is_file()


def test_nothing_calls_out(finished: Any) -> None:
    assert (finished.root.parent / "calls").read_text() == ""


def test_git_sees_no_change(finished: Any) -> None:
    assert finished.run("git", "status", "--porcelain").stdout == ""


def test_one_mlflow_run_tells_all(finished: Any) -> None:
    from mlflow import MlflowClient

    (run,) = finished.runs()
    metrics = finished.metrics()
    facts = json.loads((finished.root / "data/06_models/model/model.json").read_text())
    assert run.info.status == "FINISHED"
    assert run.info.run_name == facts["run_name"]
    tested = {name: value for name, value in metrics.items() if not name.startswith("val/")}
    assert {"test/acc", "test/auroc_low", "calibration/temperature"} <= tested.keys()
    assert {name: run.data.metrics[name] for name in tested} == tested
    assert sorted(step for key, step in points(finished, run) if key == "val/acc") == [1, 2]
    tags = run.data.tags
    assert (tags["choice.model"], tags["choice.data"], tags["overrides"]) == ("lenet5", "digits", "seed=3")
    assert (tags["command"], tags["stage.train"], tags["stage.evaluate"]) == ("kedro run seed=3", "done", "done")
    assert tags["mlflow.source.git.commit"] == finished.run("git", "rev-parse", "HEAD").stdout.strip()
    assert tags["config_digest"] == facts["config_digest"]
    params = run.data.params
    assert (params["optimizer.lr"], params["trainer.max_epochs"], params["seed"]) == ("0.002", "2", "3")
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("digits", facts["data_digest"][: len(used.dataset.digest)])
    client = MlflowClient(tracking_uri=f"sqlite:///{finished.root}/mlflow.db")
    kept = {item.path for folder in ("", "model", "report") for item in client.list_artifacts(run.info.run_id, folder)}
    assert {"config", "predictions", "model/model.safetensors", "report/report.html", "report/per_class.csv"} <= kept
    assert "test/acc" in client.get_experiment(run.info.experiment_id).tags["mlflow.note.content"]


def test_stage_by_stage_gives_the_same_bytes_and_one_run(again: Any, finished: Any) -> None:
    shutil.rmtree(again.root / "data")
    (again.root / "mlflow.db").unlink()
    for selection in ("--pipelines=ingest,prepare", "--tags=train", "--from-nodes=evaluate"):
        again.run("kedro", "run", selection, "seed=3")
    before, after = (project.root / "data/08_reporting/metrics.json" for project in (finished, again))
    assert after.read_bytes() == before.read_bytes()
    weights = "data/06_models/model/model.safetensors"
    assert (again.root / weights).read_bytes() == (finished.root / weights).read_bytes()
    (run,) = again.runs()
    assert (run.info.status, run.data.tags["stage.evaluate"]) == ("FINISHED", "done")
    assert run.data.metrics["test/acc"] == again.metrics()["test/acc"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["trainer.max_epoch=3"], "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"),
        (["model=lenet6"], "unknown model 'lenet6'; did you mean 'lenet5'?"),
        (["modle=lenet5"], "unknown group or key 'modle'; did you mean 'model'?"),
        (["model.in_channels=3"], "model 'lenet5' was asked for 3 input channels but data 'digits' has 1"),
        (["data.source=digit"], "unknown data.source 'digit'; did you mean 'digits'?"),
        (["--params=model=deep_mnist"], "kedro run model=deep_mnist"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(overrides: list[str], sentence: str, finished: Any) -> None:
    before = digests(finished.root / "data")
    done = finished.run("kedro", "run", *overrides, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert digests(finished.root / "data") == before


def test_a_run_that_diverges_fails_and_keeps_what_was_there(again: Any) -> None:
    before = digests(again.root / "data/06_models/model")
    done = again.run("kedro", "run", "optimizer.lr=1e30", check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(
        r"Error: training diverged: train/loss is (nan|inf) at step \d \(epoch 1\); lower optimizer.lr", last
    )
    assert "Traceback" not in done.stderr + done.stdout
    newest = again.runs()[0]
    assert newest.info.status == "FAILED"
    assert newest.data.tags["error"].startswith("training diverged")
    assert digests(again.root / "data/06_models/model") == before


LONG = "trainer: {max_epochs: 3}\ncallbacks: {checkpoint: {every_n_steps: 5}}\nevaluate: {gallery: 4}\n"


@pytest.fixture(scope="module")
def uninterrupted(make_project: Callable[..., Any]) -> Any:
    """A copy after a run of some seconds that nothing stopped."""
    project = make_project("uninterrupted", LONG)
    project.run("kedro", "run")
    return project


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_stopped_run_goes_on_to_the_same_result(
    signum: int, code: int, uninterrupted: Any, make_project: Callable[..., Any]
) -> None:
    project = make_project(f"stopped{signum}", LONG)
    process = project.start("kedro", "run")
    work = project.root / "data/06_models/_work"
    wait_for(lambda: any(work.glob("*/step-*.json")), process)
    process.send_signal(signum)
    assert process.wait(60) == code
    said = (project.root.parent / "output.log").read_text()
    assert "Traceback" not in said
    (stopped,) = project.runs()
    if signum != signal.SIGKILL:
        assert stopped.info.status == "KILLED"
        assert "what is finished is kept; go on with: kedro run" in said
    done = project.run("kedro", "run")
    assert "going on from" in done.stderr
    (run,) = project.runs()
    assert (run.info.run_id, run.info.status) == (stopped.info.run_id, "FINISHED")
    logged = points(project, run)
    assert len(logged) == len(set(logged))
    assert sorted(step for key, step in logged if key == "train/loss") == [1, 2, 3]
    assert project.metrics() == uninterrupted.metrics()
    weights = "data/06_models/model/model.safetensors"
    assert (project.root / weights).read_bytes() == (uninterrupted.root / weights).read_bytes()
    assert list((project.root / "data").rglob("*.tmp")) == []
    assert list(work.glob("*/")) == []


@pytest.mark.slow
def test_two_runs_at_once(make_project: Callable[..., Any]) -> None:
    project = make_project("beside", LONG)
    command = ["kedro", "run", "trainer.max_epochs=15"]  # longer than another command takes to begin
    first = project.start(*command)
    wait_for(lambda: any((project.root / "data/06_models/_work").glob("*/resolved.yaml")), first)
    same = project.run(*command, check=False)
    assert same.returncode == 1
    assert f"is already under way in process {first.pid}" in same.stderr
    other = project.run("kedro", "run", "model=deep_mnist", "trainer.max_epochs=1", "trainer.limit_batches=6")
    assert first.wait(120) == 0
    assert "deep_mnist-digits-" in other.stderr
    runs = {run.data.tags["choice.model"]: run for run in project.runs()}
    assert {name: run.info.status for name, run in runs.items()} == {"lenet5": "FINISHED", "deep_mnist": "FINISHED"}
    assert runs["lenet5"].data.metrics["test/acc"] > 0.8 > runs["deep_mnist"].data.metrics["test/acc"]


@pytest.mark.slow
def test_mlflow_out_of_reach_loses_nothing(again: Any) -> None:
    done = again.run("kedro", "run", "seed=9", "tracking.uri=http://127.0.0.1:9")
    assert "kedro tracking-sync" in done.stderr
    assert [run.data.params["seed"] for run in again.runs()] == ["3"]
    again.run("kedro", "tracking-sync", "--uri", f"sqlite:///{again.root}/mlflow.db")
    late = next(run for run in again.runs() if run.data.params["seed"] == "9")
    assert late.info.status == "FINISHED"
    assert late.data.metrics["test/acc"] == again.metrics()["test/acc"]
    assert sorted(step for key, step in points(again, late) if key == "val/acc") == [1, 2]


@pytest.mark.slow
def test_a_locked_database_loses_nothing(again: Any) -> None:
    lock = sqlite3.connect(again.root / "mlflow.db", isolation_level=None)
    lock.execute("begin exclusive")
    done = again.run("kedro", "run", "seed=9")
    lock.execute("rollback")
    lock.close()
    assert "locked" in done.stderr
    again.run("kedro", "tracking-sync")
    late = next(run for run in again.runs() if run.data.params["seed"] == "9")
    assert late.data.metrics["test/acc"] == again.metrics()["test/acc"]


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "epochs"), [("fast", 1), ("overfit", 40)])
def test_every_way_of_debugging_runs(preset: str, epochs: int, finished: Any, again: Any) -> None:
    again.settings("evaluate: {gallery: 4}\n")
    again.run("kedro", "run", f"debug={preset}")
    history = (again.root / "data/08_reporting/history.csv").read_text().splitlines()
    assert len(history) == 1 + epochs
    if preset == "overfit":
        accuracy = history[0].split(",").index("train/acc")
        assert float(history[-1].split(",")[accuracy]) == 1.0


def test_every_way_of_debugging_is_tried(project: Path) -> None:
    found = {path.stem for path in (project / "conf" / "debug").iterdir()}
    (tried,) = [mark.args[1] for mark in test_every_way_of_debugging_runs.pytestmark if mark.name == "parametrize"]
    assert found == {preset for preset, _ in tried}


@pytest.mark.slow
@pytest.mark.realdata
def test_the_full_mnist_from_a_mirror(again: Any, real_data: Path) -> None:
    done = again.run("kedro", "run", "data=mnist", FOVEA_MIRROR=str(real_data))
    assert "prepare: 70,000 pictures: train 54,025, val 5,975, test 10,000" in done.stderr
    assert again.metrics()["test/count"] == 10_000
    assert sorted(path.name for path in (again.root / "data/01_raw/mnist").glob("*.gz")) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]


@pytest.mark.realdata
@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_a_damaged_source_file_is_named_and_never_used(
    damage: str, again: Any, real_data: Path, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror" / "mnist"
    shutil.copytree(real_data / "mnist", mirror, copy_function=shutil.copyfile)
    mirror.chmod(0o755)
    file = mirror / "t10k-labels-idx1-ubyte.gz"
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes({"cut": whole[:-9], "flipped": whole[:99] + b"!" + whole[100:], "foreign": b"<html>"}[damage])
    again.settings(SETTINGS + "data: {mirrors: []}\n")
    before = digests(again.root / "data/05_model_input")
    done = again.run("kedro", "run", "data=mnist", FOVEA_MIRROR=str(tmp_path / "mirror"), check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert "t10k-labels-idx1-ubyte.gz" in last
    assert "Traceback" not in done.stderr
    assert not (again.root / "data/01_raw/mnist/t10k-labels-idx1-ubyte.gz").exists()
    assert digests(again.root / "data/05_model_input") == before
