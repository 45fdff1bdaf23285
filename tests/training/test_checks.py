"""Recipes that are refused before anything has started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.config.compose import compose
from fovea.config.schema import Config, parse
from fovea.core.errors import UserError
from fovea.training.checks import check, check_machine

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def config_of() -> Callable[..., Config]:
    return lambda *lines: parse(Config, compose(CONF, list(lines)).config, "")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["schedule=cosine", "schedule.warmup_epochs=3", "trainer.max_epochs=3"],
            r"schedule\.warmup_epochs=3 leaves no epoch after the warm-up, as trainer\.max_epochs is 3; shorten",
        ),
        (
            ["schedule=multi_step", "schedule.milestones=[5,10]", "trainer.max_epochs=10"],
            r"schedule\.milestones=\[5, 10\] reach past the last epoch, as trainer\.max_epochs is 10",
        ),
        (
            ["schedule=step", "schedule.every_epochs=30", "trainer.max_epochs=20"],
            r"schedule\.every_epochs=30 is longer than the run",
        ),
        (["loss.class_weights=[1,2]"], r"loss\.class_weights has 2 numbers, but there are 10 classes"),
        (["loss.class_weights=balanced", "loader.sampling=balanced"], "both even the classes out.*choose one"),
        (["loss.distill.teacher=nowhere"], r"loss\.distill\.teacher: no trained model at .*nowhere; train one with"),
        (["trainer.precision=16-true", "trainer.accelerator=cpu"], r"trainer\.precision=16-true needs a GPU"),
        (
            ["optimizer=torch", "optimizer.target=torch.optim.RMSProp"],
            r"torch\.optim has no optimiser 'RMSProp'; did you mean 'RMSprop'\?",
        ),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused(
    lines: list[str], words: str, config_of: Callable[..., Config]
) -> None:
    with pytest.raises(UserError, match=words):
        check(config_of(*lines))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["schedule=step", "trainer.max_epochs=1"],
        ["schedule=multi_step"],
        ["schedule=plateau"],
        ["optimizer=torch"],
        ["callbacks=ema"],
        ["callbacks=swa"],
    ],
)
def test_a_recipe_that_can_be_trained_passes(lines: list[str], config_of: Callable[..., Config]) -> None:
    assert check(config_of(*lines)) is None


def test_a_compiler_must_be_there(config_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("trainer.compile=true")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler, and there is no g\+\+ or clang\+\+; install g\+\+"):
        check_machine(config.trainer)


def test_both_ways_of_clipping_are_refused(config_of: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"trainer\.gradient_clip_value.*null where trainer\.gradient_clip_norm is set"):
        config_of("trainer.gradient_clip_norm=1.0", "trainer.gradient_clip_value=0.5")


@pytest.mark.parametrize("value", ["[1.0,-2.0]", "balancd", "[a,b]", "3"])
def test_weights_of_classes_that_are_none_are_refused(value: str, config_of: Callable[..., Any]) -> None:
    with pytest.raises(
        UserError, match=r"'loss\.class_weights' = .* it must be null, 'balanced', or a list of numbers"
    ):
        config_of(f"loss.class_weights={value}")


def test_the_worst_weights_are_not_taken_for_the_best(config_of: Callable[..., Any]) -> None:
    with pytest.raises(
        UserError, match=r"callbacks\.checkpoint\.mode.* min where callbacks\.checkpoint\.monitor is val/l"
    ):
        config_of("callbacks.checkpoint.monitor=val/loss")
    loss = config_of("callbacks.checkpoint.monitor=val/loss", "callbacks.checkpoint.mode=min")
    assert loss.callbacks.checkpoint.mode == "min"


def test_every_command_checks_recipes_without_torch() -> None:
    from fovea.settings import CONFIG_LOADER_ARGS

    assert "fovea.training.checks:check" in CONFIG_LOADER_ARGS["checks"]
    line = "import sys, fovea.training.checks, fovea.training.teacher; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
