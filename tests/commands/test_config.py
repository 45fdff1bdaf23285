from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from omegaconf import OmegaConf

from fovea.config.compose import compose

Kedro = Callable[..., Result]


def test_the_composition_is_printed(kedro: Kedro, own_project: Path) -> None:
    lines = ["model=deep_mnist", "optimizer.lr=1e-5"]
    result = kedro("config", *lines)
    assert (result.exit_code, result.stderr) == (0, "")
    expected = compose(own_project / "conf", lines).config
    assert yaml.safe_load(result.stdout) == expected
    assert OmegaConf.to_container(OmegaConf.create(result.stdout)) == expected


def test_origins(kedro: Kedro, own_project: Path) -> None:
    (own_project / "conf" / "local" / "overrides.yaml").write_text("trainer: {threads: 2}\n")
    lines = ["model=deep_mnist", "optimizer.lr=1e-5", "tracking.experiment='1e3'"]
    result = kedro("config", "--origin", *lines)
    assert (result.exit_code, result.stderr) == (0, "")
    assert OmegaConf.to_container(OmegaConf.create(result.stdout)) == compose(own_project / "conf", lines).config
    said = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "threads: 2 # conf/local/overrides.yaml" in said
    assert "lr: 1.0e-05 # command line" in said
    assert "init: he # conf/model/deep_mnist.yaml" in said
    assert "seed: 0 # conf/config.yaml" in said
    assert "trainer:" in said


def test_an_environment(kedro: Kedro, own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = own_project / "conf" / "prod" / "overrides.yaml"
    layer.parent.mkdir()
    layer.write_text("seed: 7\n")
    assert yaml.safe_load(kedro("config", "--env=prod").stdout)["seed"] == 7
    assert "seed: 7 # conf/prod/overrides.yaml" in [
        " ".join(line.split()) for line in kedro("config", "--env=prod", "--origin").stdout.splitlines()
    ]
    monkeypatch.setenv("KEDRO_ENV", "prod")
    assert yaml.safe_load(kedro("config").stdout)["seed"] == 7


def test_inside_a_dvc_stage(kedro: Kedro, own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_project / "params.yaml").write_text(kedro("config", "seed=5").stdout)
    monkeypatch.setenv("DVC_STAGE", "train")
    assert yaml.safe_load(kedro("config").stdout)["seed"] == 5
    lines = kedro("config", "--origin").stdout.splitlines()
    assert all(line.endswith((":", "# params.yaml")) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["modle=x"], "unknown group or key 'modle'; did you mean 'model'?"),
        (["trainer.max_epochs=0"], "'trainer.max_epochs' = 0 is wrong: it must be at least 1"),
        (["--env=prod"], "unknown environment 'prod': there is no folder conf/prod; known: local"),
        (
            ["optimizer.lr=0.1,0.2"],
            "'optimizer.lr=0.1,0.2' gives several values and one run takes one; queue a run for each: "
            "dvc exp run --queue -S optimizer.lr=0.1,0.2 && dvc queue start",
        ),
    ],
)
def test_a_mistake(kedro: Kedro, arguments: list[str], sentence: str) -> None:
    result = kedro("config", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {sentence}\n")


def test_an_impossible_pair(kedro: Kedro) -> None:
    result = kedro("config", "model.in_channels=3")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "3" in result.stderr
    assert "digits" in result.stderr
