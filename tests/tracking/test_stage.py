from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from fovea import tracking
from fovea.core.errors import Interrupted, RunError, UserError
from fovea.tracking import facts
from fovea.tracking.record import RunRecord

Runs = Callable[[], list[Run]]
Configure = Callable[..., None]


def test_a_new_run_is_named_and_recorded(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    with tracking.stage("train", record, "lenet5-digits-abc") as run:
        content = json.loads(record.read_text())
    (one,) = runs()
    assert content == {
        "run_key": one.data.tags["run_key"],
        "run_id": one.info.run_id,
        "name": "lenet5-digits-abc",
        "experiment": "fovea",
        "uri": "sqlite:///mlflow.db",
    }
    assert (one.info.run_name, one.info.status, run.run_id) == ("lenet5-digits-abc", "FINISHED", one.info.run_id)


def test_tags_say_where_a_run_comes_from(
    configure: Configure, record: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "brave-fox")
    configure()
    with tracking.stage("train", record, "one"):
        pass
    tags = runs()[0].data.tags
    expected = {
        "choice.model": "lenet5",
        "choice.data": "digits",
        "overrides": "optimizer.lr=0.002",
        "command": "kedro run optimizer.lr=0.002",
        "mlflow.source.name": "kedro run optimizer.lr=0.002",
        "mlflow.source.type": "LOCAL",
        "stage.train": "done",
        "dvc_exp_name": "brave-fox",
        "pid": str(os.getpid()),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    assert expected.items() <= tags.items()
    assert {"config_digest", "cpu", "cores", "host", "mlflow.user", "torch", "mlflow.note.content"} <= tags.keys()


def test_a_later_process_goes_on_in_the_same_run(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    with tracking.stage("train", record, "one"):
        pass
    before = record.read_bytes()
    tracking.configure({"experiment": "fovea"}, tracking.RunFacts(command="kedro run --pipelines evaluate"))
    with tracking.stage("evaluate", record, "other name"):
        assert runs()[0].info.status == "RUNNING"
    (one,) = runs()
    assert (one.info.run_name, one.info.status) == ("one", "FINISHED")
    assert (one.data.tags["stage.train"], one.data.tags["stage.evaluate"]) == ("done", "done")
    assert one.data.tags["command"] == "kedro run optimizer.lr=0.002"
    assert record.read_bytes() == before


def test_a_run_whose_process_died_before_it_was_recorded_goes_on(
    configure: Configure, record: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DeathError(Exception):
        pass

    def die(*_: object) -> None:
        raise DeathError

    configure()
    with monkeypatch.context() as patch:
        patch.setattr(RunRecord, "write", die)
        with pytest.raises(DeathError), tracking.stage("train", record, "one", params={"seed": 3}):
            pass
    assert not record.exists()
    (before,) = runs()
    configure()
    with tracking.stage("train", record, "one", params={"seed": 3}):
        pass
    (one,) = runs()
    assert (one.info.run_id, one.info.status) == (before.info.run_id, "FINISHED")
    assert one.data.params["seed"] == "3"
    assert json.loads(record.read_text())["run_id"] == one.info.run_id
    assert [path.name for path in record.parent.iterdir() if "run.json" in path.name] == [record.name]


@pytest.mark.parametrize(
    ("error", "status", "state"),
    [
        (ValueError("a\nb"), "FAILED", "failed"),
        (RunError("the disk is full"), "FAILED", "failed"),
        (KeyboardInterrupt(), "KILLED", "interrupted"),
        (SystemExit(), "KILLED", "interrupted"),
        (Interrupted(signal.SIGTERM), "KILLED", "interrupted"),
    ],
)
def test_a_stage_ends_truthfully(
    configure: Configure, record: Path, runs: Runs, error: BaseException, status: str, state: str
) -> None:
    configure()

    def work() -> None:
        with tracking.stage("train", record, "one") as run:
            run.log_metrics({"lr": 0.1}, step=1)
            raise error

    with pytest.raises(type(error)):
        work()
    (one,) = runs()
    assert (one.info.status, one.data.tags["stage.train"]) == (status, state)
    assert one.data.metrics == {"lr": 0.1}
    assert one.data.tags.get("error") == {"ValueError": "ValueError: a b", "RunError": "the disk is full"}.get(
        type(error).__name__
    )


def test_an_interruption_that_a_library_wrapped_is_none_the_less_one(
    configure: Configure, record: Path, runs: Runs
) -> None:
    configure()

    def library() -> None:
        try:
            raise Interrupted(signal.SIGTERM)
        except Interrupted as error:
            raise RuntimeError("training stopped") from error

    with pytest.raises(RuntimeError), tracking.stage("train", record, "one"):
        library()
    assert runs()[0].info.status == "KILLED"


def test_a_generator_that_is_dropped_is_an_interruption(configure: Configure, record: Path, runs: Runs) -> None:
    configure()

    def training() -> Iterator[int]:
        with tracking.stage("train", record, "one"):
            yield 1

    steps = training()
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert runs()[0].info.status == "KILLED"


def test_success_after_a_failure_takes_the_error_away(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    with contextlib.suppress(ValueError), tracking.stage("train", record, "one"):
        raise ValueError
    configure()
    with tracking.stage("train", record, "one"):
        pass
    (one,) = runs()
    assert one.info.status == "FINISHED"
    assert "error" not in one.data.tags


def test_held_open_the_run_stays_running_between_stages(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    tracking.hold_open()
    with tracking.stage("train", record, "one") as first:
        pass
    assert runs()[0].info.status == "RUNNING"
    with tracking.stage("evaluate", record) as second:
        second.log_metrics({"test/acc": 0.9})
    assert second is first
    assert runs()[0].info.status == "RUNNING"
    (summary,) = tracking.close("FINISHED")
    (one,) = runs()
    assert summary == tracking.Summary("one", one.info.run_id, None)
    assert one.info.status == "FINISHED"


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_close_tells_how_the_pipeline_ended(configure: Configure, record: Path, runs: Runs, status: str) -> None:
    configure()
    tracking.hold_open()
    with tracking.stage("train", record, "one"):
        pass
    tracking.close(status, OSError("no space"))  # type: ignore[arg-type]
    (one,) = runs()
    assert one.info.status == status
    assert one.data.tags.get("error") == ("OSError: no space" if status == "FAILED" else None)


def test_of_an_error_that_kedro_wrapped_the_cause_is_told(configure: Configure, record: Path, runs: Runs) -> None:
    def save() -> None:
        try:
            raise RunError("the disk is full")
        except RunError as error:
            raise OSError("Failed while saving data") from error

    configure()
    with pytest.raises(OSError, match="Failed"), tracking.stage("train", record, "one"):
        save()
    assert runs()[0].data.tags["error"] == "the disk is full"


def test_a_failed_stage_is_not_ended_again(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    tracking.hold_open()
    with contextlib.suppress(KeyboardInterrupt), tracking.stage("train", record, "one"):
        raise KeyboardInterrupt
    tracking.close("FAILED", RuntimeError())
    assert runs()[0].info.status == "KILLED"


def test_a_session_that_was_never_closed_ends_with_the_next(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    tracking.hold_open()
    with tracking.stage("train", record, "one"):
        pass
    configure()
    assert runs()[0].info.status == "KILLED"


def test_a_run_of_another_store_is_said_and_opened_anew_once(
    configure: Configure, record: Path, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    record.parent.mkdir(parents=True)
    text = json.dumps(
        {"run_key": "ab12", "run_id": "0" * 32, "name": "far", "experiment": "fovea", "uri": "http://lab"}
    )
    record.write_text(text)
    caplog.set_level("INFO")
    for stage in ("evaluate", "export"):
        configure()
        with tracking.stage(stage, record):
            pass
    (one,) = runs()
    assert one.info.run_name == "far"
    assert (one.data.tags["stage.evaluate"], one.data.tags["stage.export"]) == ("done", "done")
    assert "trained elsewhere" in caplog.text
    assert record.read_text() == text


@pytest.mark.parametrize("text", ["{", "[]", '{"run_id": null}', '{"run_key": "a\' or 1"}'])
def test_a_damaged_record_is_said_and_replaced(
    configure: Configure, record: Path, runs: Runs, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    record.parent.mkdir(parents=True)
    record.write_text(text)
    configure()
    with tracking.stage("train", record, "one"):
        pass
    assert json.loads(record.read_text())["run_id"] == runs()[0].info.run_id
    assert "does not name a run" in caplog.text


def test_a_deleted_run_is_opened_anew(configure: Configure, record: Path, client: MlflowClient, runs: Runs) -> None:
    configure()
    with tracking.stage("train", record, "one"):
        pass
    client.delete_run(runs()[0].info.run_id)
    configure()
    with tracking.stage("evaluate", record):
        pass
    assert [one.info.run_name for one in runs()] == ["one"]


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID"])
def test_other_ranks_log_nothing(
    configure: Configure, record: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    configure()
    with tracking.stage("train", record, "one") as run:
        run.log_metrics({"lr": 0.1})
    assert isinstance(run, tracking.NullRun)
    assert runs() == []
    assert not record.exists()


def test_without_configuration_nothing_is_logged(record: Path, runs: Runs) -> None:
    with tracking.stage("train", record, "one") as run:
        run.log_params({"seed": 0})
    assert isinstance(run, tracking.NullRun)
    assert runs() == []


def test_a_wrong_store_is_refused_before_anything_starts(configure: Configure) -> None:
    with pytest.raises(UserError, match=r"tracking\.uri='\./mlruns'"):
        configure(uri="./mlruns")


_KILLED = """
import os, signal
from pathlib import Path
from fovea import tracking
tracking.configure({{"experiment": "fovea"}})
with tracking.stage("train", Path({record!r}), "one") as run:
    run.log_metrics({{"train/loss": 0.5}}, step=1)
    run.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_run_of_a_killed_process_is_resumed_or_marked(
    configure: Configure, record: Path, client: MlflowClient, runs: Runs
) -> None:
    other = record.with_name("other.json")
    for path in (record, other):
        done = subprocess.run([sys.executable, "-c", _KILLED.format(record=str(path))], check=False)
        assert done.returncode == -signal.SIGKILL
    # The second one, at its start, found the first one dead.
    assert [one.info.status for one in runs()] == ["KILLED", "RUNNING"]
    configure()
    with tracking.stage("train", record, "one") as run:
        run.log_metrics({"train/loss": 0.5}, step=1)
        run.log_metrics({"train/loss": 0.4}, step=2)
    first, second = runs()
    assert (first.info.status, second.info.status) == ("FINISHED", "KILLED")
    assert "error" not in first.data.tags
    assert second.data.tags["error"].startswith("the process ended without a word")
    history = client.get_metric_history(second.info.run_id, "train/loss")
    assert second.info.end_time == history[-1].timestamp
    assert [point.step for point in client.get_metric_history(first.info.run_id, "train/loss")] == [1, 2]


_BETWEEN = """
import sys
from pathlib import Path
from fovea import tracking
assert "mlflow" not in sys.modules
tracking.configure({{"experiment": "fovea"}})
tracking.hold_open()
assert "mlflow" not in sys.modules
with tracking.stage("train", Path({record!r}), "one"):
    pass
raise KeyboardInterrupt
"""


@pytest.mark.slow
def test_an_interruption_between_two_stages_is_told_at_exit(record: Path, runs: Runs) -> None:
    done = subprocess.run([sys.executable, "-c", _BETWEEN.format(record=str(record))], check=False, capture_output=True)
    assert done.returncode != 0
    assert b"KeyboardInterrupt" in done.stderr
    assert runs()[0].info.status == "KILLED"


def test_a_forked_child_leaves_the_run_alone(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    tracking.hold_open()
    with tracking.stage("train", record, "one"):
        pass
    child = os.fork()
    if child == 0:
        os._exit(len(tracking.close("KILLED")))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert runs()[0].info.status == "RUNNING"


def test_processes_are_told_apart() -> None:
    mine = facts.process_identity(os.getpid())
    assert not facts.is_dead(mine)
    assert facts.is_dead(f"{mine}0")  # the same number, started at another time
    host, *rest = mine.split()
    assert not facts.is_dead(" ".join([f"{host}x", *rest[:-1], "1"]))  # another machine: nothing is known
    assert not facts.is_dead("")


def test_git_tags_name_the_commit_and_whether_the_code_differs(bare_root: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *arguments], cwd=bare_root, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    assert facts.git_tags()["git_dirty"] == "false"
    assert len(facts.git_tags()["mlflow.source.git.commit"]) == 40
    (bare_root / "dvc.lock").touch()
    assert facts.git_tags()["git_dirty"] == "false"
    (bare_root / "conf/config.yaml").touch()
    assert facts.git_tags()["git_dirty"] == "true"
