from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from fovea.config.schema import ModelConfig
from fovea.models import registry


def model_section(name: str, **values: Any) -> ModelConfig:
    defaults = dict.fromkeys(ModelConfig.model_fields) | {"library": "fovea", "name": name, "stem": "auto"}
    return ModelConfig(**{**defaults, **values})


def make_network(
    name: str, *, channels: int = 1, num_classes: int = 10, image_size: int = 28, **values: Any
) -> nn.Module:
    section = model_section(name, **values)
    return registry.create(section, channels=channels, num_classes=num_classes, image_size=image_size)


@pytest.fixture
def section() -> Callable[..., Any]:
    """Makes a `model` section."""
    return model_section


@pytest.fixture
def network() -> Callable[..., nn.Module]:
    """Makes a network by name."""
    return make_network


@pytest.fixture(params=["best_mnist", "deep_mnist", "fast_mnist", "lenet5", "small_mnist_5x5", "tf_mnist"])
def name(request: pytest.FixtureRequest) -> str:
    """Each of the networks in turn."""
    return str(request.param)
