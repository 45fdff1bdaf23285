from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fovea.config.compose import compose
from fovea.config.origin import leaves, origin_of, origins

Write = Callable[[str, str], Path]


def test_each_value_has_its_origin(conf: Path, write: Write) -> None:
    write("local/overrides.yaml", "trainer:\n  threads: 2\n  max_epochs: 4\n")
    lines = ["model=deep_mnist", "debug=overfit", "optimizer.lr=0.1", "model.init=null"]
    found = origins(conf, lines)
    assert found["model.name"] == "conf/model/deep_mnist.yaml"
    assert found["model.init"] == "command line"
    assert found["optimizer.lr"] == "command line"
    assert found["optimizer.eps"] == "conf/optimizer/adam.yaml"
    assert found["trainer.threads"] == "conf/local/overrides.yaml"
    assert found["trainer.max_epochs"] == "conf/debug/overfit.yaml"
    assert found["trainer.precision"] == "conf/trainer/default.yaml"
    assert found["seed"] == "conf/config.yaml"
    assert found["callbacks.checkpoint.keep"] == "conf/callbacks/default.yaml"


def test_every_value_of_a_composition_has_one(conf: Path, write: Write) -> None:
    write("prod/overrides.yaml", "seed: 4\n")
    lines = ["experiment=mnist_fast", "+model.extra={a: 1}", "data={channels: 1}"]
    found = origins(conf, lines, "prod")
    keys = [key for key, _ in leaves(compose(conf, lines, "prod").config)]
    assert all(origin_of(key, found) for key in keys)
    assert found["seed"] == "conf/prod/overrides.yaml"
    assert found["model.extra.a"] == "command line"
    assert found["data.channels"] == "command line"
    assert found["data.image_size"] == "conf/data/mnist.yaml"


def test_the_nearest_section_answers_for_a_key_below_it() -> None:
    found = {"data.mean": "a", "data": "b"}
    assert origin_of("data.mean[0]", found) == "a"
    assert origin_of("data.files.train.name", found) == "b"
    assert origin_of("model.name", found) is None
