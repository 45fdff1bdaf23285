from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from fovea import tracking
from fovea.tracking import run as run_module

Runs = Callable[[], list[Run]]
Configure = Callable[..., None]


def points(client: MlflowClient, run: Run, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]


def test_metrics_of_a_step_and_of_the_whole_run(
    configure: Configure, record: Path, client: MlflowClient, runs: Runs
) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        for epoch in (1, 2, 3):
            run.log_metrics({"train/loss": 1 / epoch, "val/acc": epoch / 10}, step=epoch)
        run.log_metrics({"test/acc": 0.98})
    (one,) = runs()
    assert points(client, one, "train/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert points(client, one, "test/acc") == [(0, 0.98)]


def test_metrics_are_sent_at_once_and_a_burst_soon_after(
    configure: Configure, record: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_WINDOW", 1.0)
    configure()
    with tracking.stage("train", record, "one") as run:
        run.log_metrics({"lr": 0.1}, step=1)
        assert client.get_run(str(run.run_id)).data.metrics == {"lr": 0.1}
        run._last_sent = time.monotonic()
        for step in (2, 3):
            run.log_metrics({"lr": step}, step)
        timer = run._timer
        assert timer is not None
        timer.join(30)
        assert client.get_run(str(run.run_id)).data.metrics == {"lr": 3}


def test_more_points_than_one_request_takes(
    configure: Configure, record: Path, client: MlflowClient, runs: Runs
) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        for step in range(1200):
            run.log_metrics({"lr": step}, step)
    assert points(client, runs()[0], "lr") == [(step, step) for step in range(1200)]


def test_values_that_are_no_number_arrive(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        run.log_metrics({"val/loss": math.nan, "train/loss": math.inf}, step=1)
    metrics = runs()[0].data.metrics
    assert math.isnan(metrics["val/loss"])
    assert metrics["train/loss"] > 1e300


def test_a_resumed_run_has_no_point_twice(configure: Configure, record: Path, client: MlflowClient, runs: Runs) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        for step in (1, 2, 3):
            run.log_metrics({"train/loss": step}, step)
    configure()
    with tracking.stage("train", record, "one") as run:
        for step in (2, 3, 4):
            run.log_metrics({"train/loss": step}, step)
    (one,) = runs()
    assert points(client, one, "train/loss") == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_a_value_of_the_whole_run_may_change(
    configure: Configure, record: Path, client: MlflowClient, runs: Runs
) -> None:
    for value in (0.97, 0.97, 0.98):
        configure()
        with tracking.stage("evaluate", record, "one") as run:
            run.log_metrics({"test/acc": value})
    (one,) = runs()
    assert points(client, one, "test/acc") == [(0, 0.97), (0, 0.98)]
    assert one.data.metrics["test/acc"] == 0.98


def test_parameters_are_the_composed_config_without_tracking(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    with tracking.stage("train", record, "one", params={"trainer": {"max_epochs": 3}}):
        pass
    assert runs()[0].data.params == {
        "seed": "0",
        "model.name": "lenet5",
        "model.init": "null",
        "optimizer.name": "adam",
        "optimizer.lr": "0.002",
        "optimizer.betas": "[0.9, 0.999]",
        "trainer.max_epochs": "3",
    }


def test_many_parameters_fit(configure: Configure, record: Path, runs: Runs) -> None:
    configure()
    many = {f"p{i}": i for i in range(250)}
    with tracking.stage("train", record, "one") as run:
        run.log_params(many)
    assert {f"p{i}": str(i) for i in range(250)}.items() <= runs()[0].data.params.items()


def test_a_changed_parameter_is_noted_and_no_error(
    configure: Configure, config: dict[str, Any], record: Path, runs: Runs
) -> None:
    configure()
    with tracking.stage("train", record, "one", params=config):
        pass
    configure()
    with tracking.stage("train", record, "one", params={**config, "seed": 1, "extra": "new"}):
        pass
    (one,) = runs()
    assert (one.data.params["seed"], one.data.params["extra"]) == ("0", "new")
    assert one.data.tags["param_drift"] == "seed: 0 -> 1"
    assert one.info.status == "FINISHED"


def test_the_same_parameters_again_leave_no_note(
    configure: Configure, config: dict[str, Any], record: Path, runs: Runs
) -> None:
    for _ in range(2):
        configure()
        with tracking.stage("train", record, "one", params=config):
            pass
    assert "param_drift" not in runs()[0].data.tags


def test_tags_artifacts_and_texts(
    configure: Configure, record: Path, client: MlflowClient, runs: Runs, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "deep").mkdir(parents=True)
    (pictures / "deep/a.png").write_bytes(b"png")
    (tmp_path / "report.html").write_text("<p>")
    configure()
    with tracking.stage("evaluate", record, "one", tags={"precision": 32}) as run:
        run.set_tags({"world_size": 1})
        run.log_artifact(tmp_path / "report.html", "report")
        run.log_artifacts(pictures, "pictures")
        run.log_text("seed: 0\n", "config/resolved.yaml")
    (one,) = runs()
    assert (one.data.tags["precision"], one.data.tags["world_size"]) == ("32", "1")
    where = Path(client.download_artifacts(one.info.run_id, ""))
    assert (where / "report/report.html").read_text() == "<p>"
    assert (where / "pictures/deep/a.png").read_bytes() == b"png"
    assert (where / "config/resolved.yaml").read_text() == "seed: 0\n"
    assert "mlflow==" in (where / "config/environment.txt").read_text()


def test_the_data_set_is_an_input_with_its_digest(configure: Configure, record: Path, runs: Runs) -> None:
    for _ in range(2):
        configure()
        with tracking.stage("train", record, "one") as run:
            run.log_dataset("digits", "a" * 64, "training", {"train": 3600})
    inputs = runs()[0].inputs
    assert inputs is not None
    (given,) = inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest, given.dataset.profile) == ("digits", "a" * 12, '{"train": 3600}')
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_a_data_set_that_another_process_adds_at_that_moment_is_asked_for_again(
    configure: Configure,
    record: Path,
    runs: Runs,
    journals: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_inputs, calls = MlflowClient.log_inputs, []

    def first_too_late(self: MlflowClient, *args: Any, **more: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id")
        log_inputs(self, *args, **more)

    monkeypatch.setattr(MlflowClient, "log_inputs", first_too_late)
    configure(on_error="stop")
    with tracking.stage("train", record, "one") as run:
        run.log_dataset("digits", "a" * 64, "training")
    inputs = runs()[0].inputs
    assert inputs is not None
    assert [one.dataset.name for one in inputs.dataset_inputs] == ["digits"]
    assert (len(calls), journals()) == (2, [])


@pytest.mark.parametrize(
    "call", [lambda run: run.log_metrics({"bad name!?": 1.0}), lambda run: run.log_artifact(Path("/no/such/file"))]
)
def test_what_mlflow_never_takes_is_left_out(
    configure: Configure,
    record: Path,
    runs: Runs,
    journals: Callable[[], list[Path]],
    caplog: pytest.LogCaptureFixture,
    call: Callable[[tracking.Run], Any],
) -> None:
    configure()
    with tracking.stage("train", record, "one") as run:
        call(run)
        run.flush()
        run.set_tags({"after": "yes"})
    assert runs()[0].data.tags["after"] == "yes"
    assert journals() == []
    assert [line for line in caplog.messages if line.startswith("MLflow refuses a record")]


def test_null_run_takes_everything_and_keeps_nothing(tmp_path: Path) -> None:
    run = tracking.NullRun()
    run.log_metrics({"a": 1.0})
    run.log_params({"a": 1})
    run.set_tags({"a": 1})
    run.log_artifact(tmp_path)
    run.log_artifacts(tmp_path)
    run.log_dataset("a", "b", "c")
    run.flush()
    assert run.run_id is None
    assert run._timer is None
