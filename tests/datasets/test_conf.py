from __future__ import annotations

from pathlib import Path

import pytest

from fovea.config.compose import compose
from fovea.config.schema import DataConfig, parse
from fovea.datasets.registry import reader

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_each_data_set_of_the_project_has_a_reader_and_its_own_name(name: str, project: Path) -> None:
    data = parse(DataConfig, compose(project / "conf", [f"data={name}"]).config["data"], "data")
    assert data.name == name
    assert callable(reader(data.source).read)
    assert len(data.mean) == len(data.std) == data.channels
    assert all(mirror.endswith("/") for mirror in data.mirrors)


@pytest.mark.parametrize(
    ("name", "count"), [("cats_vs_dogs", 2), ("emnist", 47), ("fashion_mnist", 10), ("kmnist", 10), ("mnist", 10)]
)
def test_classes_are_names_and_not_what_yaml_makes_of_them(name: str, count: int, project: Path) -> None:
    data = parse(DataConfig, compose(project / "conf", [f"data={name}"]).config["data"], "data")
    assert len(data.class_names) == count
    assert all(isinstance(one, str) for one in data.class_names)
