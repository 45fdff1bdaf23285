from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import OmegaConf

from fovea.config.compose import compose
from fovea.config.loader import HydraConfigLoader
from fovea.config.params_stage import dump
from fovea.config.schema import Config
from fovea.core.errors import UserError

Write = Callable[[str, str], Path]
ENVIRONMENTS = {"base_env": "base", "default_run_env": "local"}


def _loader(conf: Path, env: str | None = None, params: dict[str, Any] | None = None, **rest: Any) -> HydraConfigLoader:
    return HydraConfigLoader(conf, env, params, **ENVIRONMENTS, **rest)


def test_parameters_are_the_composition(conf: Path) -> None:
    loader = _loader(conf, params={"overrides": ["model=deep_mnist"], "trainer": {"max_epochs": 3}})
    assert loader["parameters"]["model"]["name"] == "deep_mnist"
    assert loader["parameters"]["trainer"]["max_epochs"] == 3
    assert loader.composition.choices["model"] == "deep_mnist"
    assert loader.composition.overrides == ("trainer.max_epochs=3", "model=deep_mnist")
    assert loader.config.trainer.max_epochs == 3
    assert type(loader["parameters"]) is dict


def test_everything_else_stays_kedros(conf: Path, write: Write) -> None:
    write("local/catalog.yml", "extra:\n  type: MemoryDataset\n")
    loader = _loader(conf)
    assert {"source", "model", "extra"} <= loader["catalog"].keys()
    assert loader["catalog"]["model"]["filepath"] == "data/06_models/model"


def test_the_built_in_resolver_of_environment_variables_stays(conf: Path) -> None:
    _loader(conf)
    assert OmegaConf.has_resolver("oc.env")


def test_mistakes_are_told_at_once_with_the_file_that_holds_them(conf: Path, write: Write) -> None:
    write("local/overrides.yaml", "trainer:\n  max_epoch: 3\n")
    with pytest.raises(UserError) as caught:
        _loader(conf)
    assert str(caught.value) == (
        "conf/local/overrides.yaml: unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"
    )
    write("local/overrides.yaml", "")
    write("model/mine.yaml", "defaults: [lenet5, _self_]\ndropout: 2\n")
    with pytest.raises(UserError) as caught:
        _loader(conf, params={"overrides": ["model=mine"]})
    assert str(caught.value) == "conf/model/mine.yaml: 'model.dropout' = 2 is wrong: it must be less than 1"


def test_a_mistake_of_the_command_line_names_no_file(conf: Path) -> None:
    with pytest.raises(UserError) as caught:
        _loader(conf, params={"overrides": ["+trainer.max_epoch=3"]})
    assert str(caught.value) == "unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"


def test_an_experiment_without_its_first_line(conf: Path, write: Write) -> None:
    write("experiment/x.yaml", "trainer:\n  max_epochs: 3\n")
    with pytest.raises(UserError) as caught:
        _loader(conf, params={"overrides": ["experiment=x"]})
    assert str(caught.value) == (
        "conf/experiment/x.yaml lacks the first line '# @package _global_', without which it sets nothing"
    )


def test_checks_see_the_whole_typed_configuration(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Config] = []

    def refuse_many_channels(config: Config) -> None:
        seen.append(config)
        if config.model.in_channels == 3 and config.data.channels == 1:
            raise UserError("'model.in_channels' = 3 does not fit 'data.channels' = 1; leave it null")

    module = ModuleType("some_checks")
    module.refuse = refuse_many_channels  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_checks", module)
    _loader(conf, checks=["some_checks:refuse"])
    assert seen[0].model.name == "lenet5"
    with pytest.raises(UserError, match="does not fit"):
        _loader(conf, params={"overrides": ["model.in_channels=3"]}, checks=["some_checks:refuse"])


class TestInsideADvcStage:
    @pytest.fixture(autouse=True)
    def _stage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DVC_STAGE", "train")

    def test_params_yaml_is_read(self, conf: Path) -> None:
        config = compose(conf, ["model=deep_mnist", "optimizer.lr=1e-5"]).config
        (conf.parent / "params.yaml").write_text(dump(config))
        loader = _loader(conf)
        assert loader["parameters"] == config
        assert loader.composition.choices["model"] == "deep_mnist"
        assert loader.composition.choices["optimizer"] == "adam"
        assert loader.composition.overrides == ()

    def test_overrides_are_refused(self, conf: Path) -> None:
        with pytest.raises(UserError) as caught:
            _loader(conf, params={"overrides": ["seed=1"]})
        assert str(caught.value) == (
            "inside a DVC stage the configuration is that of params.yaml and takes no overrides; "
            "give them to DVC, as in: dvc exp run -S optimizer.lr=0.01"
        )

    def test_params_yaml_that_is_missing_or_wrong(self, conf: Path) -> None:
        with pytest.raises(UserError) as caught:
            _loader(conf)
        assert str(caught.value) == "params.yaml is missing; write it with: dvc repro params"
        config = compose(conf).config
        config["trainer"]["max_epoch"] = 3
        (conf.parent / "params.yaml").write_text(dump(config))
        with pytest.raises(UserError) as caught:
            _loader(conf)
        assert str(caught.value) == "params.yaml: unknown key 'trainer.max_epoch' = 3; did you mean 'max_epochs'?"
        (conf.parent / "params.yaml").write_text("a: [\n")
        with pytest.raises(UserError, match=r"/params\.yaml is not valid YAML at line 2: "):
            _loader(conf)
