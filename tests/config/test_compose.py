from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from fovea.config.compose import Composition, compose
from fovea.config.groups import environments, groups

Write = Callable[[str, str], Path]


def test_groups_are_the_folders_with_members(conf: Path) -> None:
    known = groups(conf)
    assert known["model"] == sorted(path.stem for path in (conf / "model").glob("*.yaml"))
    assert {"data", "augment", "optimizer", "experiment", "debug"} < known.keys()
    assert not {"base", "local"} & known.keys()


def test_environments_are_the_other_folders(conf: Path, write: Write) -> None:
    write("prod/overrides.yaml", "seed: 1\n")
    assert environments(conf) == ["local", "prod"]
    assert "prod" not in groups(conf)


def test_choices_and_overrides_are_kept(conf: Path) -> None:
    done = compose(conf, ["model=deep_mnist", "optimizer.lr=0.5"])
    assert done.config["model"]["name"] == "deep_mnist"
    assert done.config["optimizer"]["lr"] == 0.5
    assert done.choices["model"] == "deep_mnist"
    assert done.choices["data"] == "digits"
    assert done.choices["experiment"] is None
    assert done.overrides == ("model=deep_mnist", "optimizer.lr=0.5")
    assert not any(key.startswith(("hydra", "local")) for key in (*done.choices, *done.config))


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("optimizer.lr=1e-5", "optimizer.lr", 1e-5),
        ("data.mean=[0.5]", "data.mean", [0.5]),
        ("tracking.experiment='a, b=c'", "tracking.experiment", "a, b=c"),
        ("tracking.uri=http://host:5000", "tracking.uri", "http://host:5000"),
        ("trainer.threads=null", "trainer.threads", None),
        ("model={dropout: 0.25}", "model.dropout", 0.25),
        ("seed=${prepare.shard_mb}", "seed", 64),
        ("+model.extra=1", "model.extra", 1),
    ],
)
def test_values(conf: Path, line: str, key: str, value: object) -> None:
    found: object = compose(conf, [line]).config
    for name in key.split("."):
        assert isinstance(found, dict)
        found = found[name]
    assert found == value


def test_a_key_can_be_taken_out(conf: Path) -> None:
    assert "dropout" not in compose(conf, ["~model.dropout"]).config["model"]


def test_an_experiment_overrides_the_groups_and_the_command_line_overrides_it(conf: Path) -> None:
    assert compose(conf, ["experiment=mnist_deep"]).config["model"]["name"] == "deep_mnist"
    done = compose(conf, ["experiment=mnist_deep", "model=lenet5", "debug=fast", "trainer.limit_batches=2"])
    assert done.config["model"]["name"] == "lenet5"
    assert done.config["trainer"]["limit_batches"] == 2


@pytest.mark.parametrize("line", ["experiment=null", "~experiment"])
def test_an_experiment_can_be_left_out(conf: Path, line: str) -> None:
    done = compose(conf, [line])
    assert done.choices["experiment"] is None
    assert done.config == compose(conf).config


def test_of_two_choices_the_last_counts(conf: Path) -> None:
    assert compose(conf, ["experiment=null", "experiment=mnist_deep"]).choices["experiment"] == "mnist_deep"
    assert compose(conf, ["experiment=mnist_deep", "experiment=null"]).choices["experiment"] is None
    assert compose(conf, ["model=tf_mnist", "model=lenet5"]).choices["model"] == "lenet5"


def test_the_local_layer_stands_above_the_groups_and_below_experiments(conf: Path, write: Write) -> None:
    write("local/overrides.yaml", "trainer:\n  threads: 2\n  limit_batches: 9\nseed: 5\n")
    done = compose(conf, ["debug=fast", "seed=6"])
    assert done.config["trainer"]["threads"] == 2
    assert done.config["trainer"]["limit_batches"] == 1
    assert done.config["seed"] == 6


def test_the_local_layer_can_choose_members(conf: Path, write: Write) -> None:
    write("local/overrides.yaml", "defaults:\n  - override /model: deep_mnist\n")
    assert compose(conf).choices["model"] == "deep_mnist"
    assert compose(conf, ["model=lenet5"]).choices["model"] == "lenet5"


def test_an_environments_layer_takes_the_place_of_the_local_one(conf: Path, write: Write) -> None:
    write("local/overrides.yaml", "trainer: {threads: 2}\nseed: 5\n")
    write("prod/overrides.yaml", "trainer: {threads: 7}\n")
    (conf / "bare").mkdir()
    done = compose(conf, ["debug=fast"], env="prod")
    assert done.config["trainer"]["threads"] == 7
    assert done.config["trainer"]["limit_batches"] == 1
    assert done.config["seed"] == 0
    assert done.overrides == ("debug=fast",)
    assert compose(conf, env="bare").config["seed"] == 5
    assert compose(conf, env="local").config["seed"] == 5


def test_an_initialisation_of_hydra_by_the_caller_survives(conf: Path) -> None:
    with initialize_config_dir(str(conf), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        compose(conf)
        assert GlobalHydra.instance().hydra is before
        assert hydra_compose("config").model.name == "lenet5"
    assert not GlobalHydra.instance().is_initialized()


def test_threads_do_not_mix(conf: Path) -> None:
    models = groups(conf)["model"]

    def one(index: int) -> tuple[str, str]:
        model = models[index % len(models)]
        return model, compose(conf, [f"model={model}"]).config["model"]["name"]

    with ThreadPoolExecutor(4) as pool:
        assert all(asked == found for asked, found in pool.map(one, range(12)))


def test_environment_variables_can_be_read_although_kedro_takes_their_resolver_away(
    conf: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("local/overrides.yaml", "tracking: {uri: '${oc.env:TRACKING,none}'}\n")
    OmegaConf.clear_resolver("oc.env")
    assert compose(conf).config["tracking"]["uri"] == "none"
    monkeypatch.setitem(os.environ, "TRACKING", "http://host:1")
    assert compose(conf).config["tracking"]["uri"] == "http://host:1"


def test_a_composition_is_plain_data(conf: Path) -> None:
    def kinds(value: object) -> set[type]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        return {type(value)}.union(*(kinds(one) for one in inner))

    done: Composition = compose(conf, ["data=mnist"])
    assert kinds(done.config) == {dict, list, str, int, float, bool, type(None)}
