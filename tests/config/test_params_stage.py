from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.utils.hydra import compose_and_dump
from omegaconf import OmegaConf
from ruamel.yaml import YAML

from fovea.config import params_stage
from fovea.config.compose import compose
from fovea.config.loader import HydraConfigLoader
from fovea.core.errors import UserError

Write = Callable[[str, str], Path]
CASES = [
    [],
    ["optimizer.lr=1e-5"],
    ["model=deep_mnist", "trainer.max_epochs=3", "optimizer=sgd", "optimizer.momentum=0.8"],
    ["experiment=mnist_fast", "seed=7"],
    ["debug=fast", "data.mean=[0.5]", "data.classes=['1e3','on','007','2020-01-01',x,null_]"],
    ["tracking.uri='http://host:5000/a b'", r"tracking.experiment='it\'s'"],
    ["optimizer.eps=1.0e-12", "prepare.test_fraction=0.30000000000000004"],
]


@pytest.mark.parametrize("lines", CASES)
@pytest.mark.parametrize("local", [False, True])
def test_dvc_kedro_and_the_stage_compose_the_same(conf: Path, write: Write, lines: list[str], local: bool) -> None:
    if local:
        write("local/overrides.yaml", "trainer: {threads: 2, gradient_clip_norm: 1e-3}\nseed: 5\n")
    ours = compose(conf, lines).config
    by_dvc = conf.parent / "by_dvc.yaml"
    compose_and_dump(str(by_dvc), str(conf), None, "config", str(conf.parent), lines)
    assert params_stage.dump(ours) == by_dvc.read_text()
    assert OmegaConf.to_container(OmegaConf.load(by_dvc)) == ours
    assert YAML(typ="safe").load(by_dvc) == ours
    loader = HydraConfigLoader(conf, None, {"overrides": lines}, base_env="base", default_run_env="local")
    assert loader["parameters"] == ours
    assert loader.config.trainer.threads == (2 if local else None)


def test_the_stage_writes_the_same_bytes_twice(workspace: Path) -> None:
    assert params_stage.write(workspace) == "params.yaml written from conf/"
    first = (workspace / "params.yaml").read_bytes()
    assert params_stage.write(workspace) == "params.yaml written from conf/, unchanged"
    assert (workspace / "params.yaml").read_bytes() == first
    assert OmegaConf.to_container(OmegaConf.load(workspace / "params.yaml")) == compose(workspace / "conf").config


def test_the_stage_says_what_it_takes_back(workspace: Path) -> None:
    left = compose(workspace / "conf", ["optimizer.lr=0.5", "trainer.max_epochs=3"]).config
    (workspace / "params.yaml").write_text(params_stage.dump(left))
    assert params_stage.write(workspace) == (
        "params.yaml written from conf/ (optimizer.lr 0.5 -> 0.002, trainer.max_epochs 3 -> 20)"
    )


def test_the_stage_says_no_address_that_may_hold_a_password(workspace: Path, write: Write) -> None:
    params_stage.write(workspace)
    write("local/overrides.yaml", "tracking: {uri: 'http://me:secret@host:5000'}\nseed: 5\n")
    assert params_stage.write(workspace) == "params.yaml written from conf/ (seed 0 -> 5, tracking.uri changed)"


def test_the_stage_stands_aside_in_an_experiment(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-owl")
    with pytest.raises(UserError, match=r"^params\.yaml is missing; let DVC compose it"):
        params_stage.write(workspace)
    (workspace / "params.yaml").write_text("as DVC left it\n")
    assert params_stage.write(workspace) == "params.yaml stays as DVC composed it for experiment 'puffy-owl'"
    assert (workspace / "params.yaml").read_text() == "as DVC left it\n"


def test_the_stage_says_that_dvc_knows_no_environments(
    workspace: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("prod/overrides.yaml", "seed: 9\n")
    monkeypatch.setenv("KEDRO_ENV", "prod")
    said = params_stage.write(workspace)
    assert said.endswith("; conf/prod/overrides.yaml is not in it, as DVC knows no environments")
    assert OmegaConf.load(workspace / "params.yaml")["seed"] == 0


def test_a_mistake_leaves_the_old_file(workspace: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    params_stage.write(workspace)
    before = (workspace / "params.yaml").read_bytes()
    write("local/overrides.yaml", "trainer: {max_epoch: 3}\n")
    assert params_stage.main() == 2
    assert capsys.readouterr().err == "Error: unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?\n"
    assert (workspace / "params.yaml").read_bytes() == before


def test_the_stage_is_quick_to_start(workspace: Path) -> None:
    code = (
        "import sys\nfrom fovea.config.params_stage import main\nassert main() == 0\n"
        "print([name for name in ('torch', 'kedro', 'mlflow', 'dvc', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace, capture_output=True, text=True, check=True)
    assert done.stdout == "params.yaml written from conf/\n[]\n"
    assert (workspace / "params.yaml").is_file()
