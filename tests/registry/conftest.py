"""Runs, delivered models and gates made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fovea.comparison.past import PastRun
from fovea.config.schema import PromoteConfig, RegistryConfig
from fovea.registry.card import Subject
from fovea.registry.delivered import Delivered
from fovea.registry.standing import standing


def gates(**changes: Any) -> PromoteConfig:
    values = {
        "confidence": 0.95,
        "test": "mcnemar",
        "margin": 0.01,
        "cost": "parameters",
        "max_cost_ratio": 0.5,
        "min_acc": 0.8,
        "min_class_recall": 0.5,
        "max_ece": 0.05,
    }
    return PromoteConfig(**{**values, **changes})


def past_run(name: str, predicted: Sequence[str], labels: Sequence[str], **rest: Any) -> PastRun:
    ids = rest.pop("ids", [f"digit-{row}" for row in range(len(labels))])
    table = pd.DataFrame({"id": ids, "label": list(labels), "predicted": list(predicted)})
    params = {"data.name": "digits", **rest.pop("params", {})}
    return PastRun(run_id=name * 8, name=name, params=params, predictions=table, **rest)


@pytest.fixture
def config() -> Callable[..., PromoteConfig]:
    return gates


@pytest.fixture
def past() -> Callable[..., PastRun]:
    """A run that predicted some letters: `past("one", "aab", "abb", metrics={}, ...)`."""
    return past_run


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """What a card is about: a network that has "c" wrong once, and of whose classes "d" has no test picture."""

    def make(stated: dict[str, Any] | None = None, temperature: float | None = None, **changes: Any) -> Subject:
        facts: dict[str, Any] = {
            "params": {
                "model.name": "lenet5",
                "optimizer.lr": "0.1",
                "loader.num_workers": "2",
                "model.weights": "null",
            },
            "metrics": {"test/acc": 0.75, "test/acc_low": 0.5, "test/acc_high": 0.9, "test/ece": 0.25},
            "tags": {"command": "kedro run a=b|c", "data_digest": "d1", "git_dirty": "false", "cpu": "a processor"},
            "model": {"parameters": 61706},
        }
        run = past_run("one", "abca", "abcc", **{**facts, **changes})
        exported = {
            "classes": ["a", "b", "c", "d"],
            "input": "images: uint8",
            "output": "logits: float32",
            "opset": 18,
            "parity": {"model.onnx": {"largest_logit_difference": 1.25e-7}},
        }
        said = {"name": None, "licence": None, "intended_use": None, "limitations": None, **(stated or {})}
        delivered = Delivered(Path("nowhere"), "f00d", {**exported, "temperature": temperature})
        return Subject("letters", run, standing(run, temperature), delivered, RegistryConfig(**said))

    return make
