from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Kedro = Callable[..., Result]


def _refused(result: Result, stage: Any) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert stage.ran == []
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").strip()


def test_overrides_reach_the_nodes(kedro: Kedro, stage: Any) -> None:
    result = kedro("run", "trainer.max_epochs=3", "debug=fast", "trainer.threads=2")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert stage.ran == ["ingest", "train"]
    assert stage.seen["max_epochs"] == 3
    assert stage.seen["limit_batches"] == 1
    assert stage.seen["threads"] == 2


def test_plain_values_may_come_by_params(kedro: Kedro, stage: Any) -> None:
    result = kedro("run", "--params", "trainer.max_epochs=3,trainer.precision=16", "trainer.threads=2")
    assert result.exit_code == 0, result.stderr
    assert (stage.seen["max_epochs"], stage.seen["precision"], stage.seen["threads"]) == (3, 16, 2)


def test_an_override_beats_a_plain_value(kedro: Kedro, stage: Any) -> None:
    assert kedro("run", "--params=trainer.max_epochs=3", "trainer.max_epochs=4").exit_code == 0
    assert stage.seen["max_epochs"] == 4


def test_an_environment(kedro: Kedro, stage: Any, own_project: Path) -> None:
    layer = own_project / "conf" / "prod" / "overrides.yaml"
    layer.parent.mkdir()
    layer.write_text("trainer: {threads: 7}\n")
    assert kedro("run", "--env=prod").exit_code == 0
    assert stage.seen["threads"] == 7


def test_options_from_a_file(kedro: Kedro, stage: Any, own_project: Path) -> None:
    (own_project / "run.yml").write_text(
        "run: {pipelines: 'train,ingest', params: {overrides: [trainer.max_epochs=9]}}\n"
    )
    assert kedro("run", "--config=run.yml", "trainer.threads=1").exit_code == 0
    assert (stage.seen["max_epochs"], stage.seen["threads"]) == (9, 1)


@pytest.mark.parametrize("arguments", [["--pipeline=ingest"], ["--nodes=ingest"], ["--tags=ingest"]])
def test_parts_of_a_pipeline(kedro: Kedro, stage: Any, arguments: list[str]) -> None:
    assert kedro("run", *arguments).exit_code == 0
    assert stage.ran == ["ingest"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trainer.max_epoch=3"], "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"),
        (["modle=lenet5"], "unknown group or key 'modle'; did you mean 'model'?"),
        (["trainer.max_epochs=x"], "'trainer.max_epochs' = 'x' is wrong: it must be a whole number"),
        (["--pipeline=trian"], "unknown pipeline 'trian'; did you mean 'train'?"),
        (["--pipelines=train,ingst"], "unknown pipeline 'ingst'; did you mean 'ingest'?"),
        (
            ["--pipeline=train", "--pipelines=train"],
            "Options '--pipeline' and '--pipelines' cannot be used together",
        ),
        (
            ["--nodes=trian"],
            "Pipeline does not contain nodes named ['trian']; "
            "`kedro registry describe NAME` shows the nodes of a pipeline",
        ),
        (
            ["--tags=none"],
            "Pipeline contains no nodes after applying all provided filters; "
            "`kedro registry describe NAME` shows the nodes of a pipeline",
        ),
        (["--env=prod"], "unknown environment 'prod': there is no folder conf/prod; known: local"),
        (
            ["--runner=ThreadRunner"],
            "--runner=ThreadRunner is not available: stages depend on each other and use all cores; leave it out",
        ),
        (
            ["--runner=kedro.runner.ParallelRunner"],
            "--runner=ParallelRunner is not available: stages depend on each other and use all cores; leave it out",
        ),
        (["--runner=Sequential"], "unknown runner 'Sequential'; did you mean 'SequentialRunner'?"),
        (
            ["--async"],
            "--async is not available: data between stages are folders that load at once; leave it out",
        ),
        (
            ["--runner-params=is_async=True"],
            "--async is not available: data between stages are folders that load at once; leave it out",
        ),
        (
            ["--params=model=deep_mnist"],
            "--params cannot choose a member of 'model'; write it as an override: kedro run model=deep_mnist",
        ),
        (
            ["--params=model=deep_mnist,model.dropout=0.1"],
            "--params cannot choose a member of 'model'; write it as an override: kedro run model=deep_mnist",
        ),
        (
            ["--params=data.mean=[0.1,0.2]"],
            "--params takes no list for 'data.mean'; write it as an override: kedro run 'data.mean=[...]'",
        ),
        (["--params=trainer.max_epoch=3"], "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"),
        (
            ["--config=pyproject.toml"],
            "is not a YAML file with the options of a run below 'run:'",
        ),
    ],
)
def test_wrong_input_is_told_in_one_sentence(kedro: Kedro, stage: Any, arguments: list[str], sentence: str) -> None:
    told = _refused(kedro("run", *arguments), stage)
    assert told == sentence or (told.startswith("--config=") and told.endswith(sentence))


def test_help_shows_overrides_and_groups(kedro: Kedro) -> None:
    said = kedro("run", "--help").stdout
    assert "Usage: kedro run [OPTIONS] [OVERRIDES]..." in said
    assert "kedro run data=mnist trainer.max_epochs=3 optimizer=sgd optimizer.lr=0.1" in said
    assert "augment     imagenet, imagenet_eval, imagenet_mix, mnist, mnist_strong," in said
    assert "--from-nodes" in said


def test_a_node_that_logs_is_heard_and_kedro_is_not(kedro: Kedro, stage: Any, own_project: Path) -> None:
    import logging

    stage.train = lambda: logging.getLogger("fovea.training").info("epoch 1: val/acc 0.9")
    result = kedro("run")
    assert (result.exit_code, result.stderr) == (0, "epoch 1: val/acc 0.9\n")
    assert "Running node: train" in (own_project / "logs" / "fovea.log").read_text()
    assert "Running node: train" in kedro("run", "--verbose").stderr


def test_fresh_holds_for_one_command(kedro: Kedro, stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    stage.train = lambda: seen.append(os.environ.get("FOVEA_FRESH"))
    monkeypatch.delenv("FOVEA_FRESH", raising=False)
    assert kedro("run", "--fresh").exit_code == 0
    assert kedro("run").exit_code == 0
    monkeypatch.setenv("FOVEA_FRESH", "0")
    assert kedro("run", "--fresh").exit_code == 0
    assert kedro("run").exit_code == 0
    assert seen == ["1", None, "1", "0"]
