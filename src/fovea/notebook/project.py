"""The project as a notebook takes hold of it: loaded, or run with its results kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from kedro.framework.session import KedroSession

    from fovea.config.compose import Composition
    from fovea.config.schema import Config
    from fovea.models.normalize import NormalizedNet

BRIEF = ("evaluate.maps=0", "evaluate.grad_cam=0", "evaluate.embedding_map=0", "evaluate.gallery=0")
"""Overrides for a training that is over soon: a report without pictures."""


@dataclass(frozen=True)
class Project:
    """What `load` gives.

    Attributes:
        session: A Kedro session that has not run yet; one session runs once.
        catalog: The data sets by name, parameters among them.
        config: The configuration, typed.
        composition: The same as plain data, with the members chosen and the overrides.
    """

    session: KedroSession
    catalog: Any
    config: Config
    composition: Composition


def load(overrides: Sequence[str] = (), env: str | None = None) -> Project:
    """Opens the project at or above the working directory, or at `FOVEA_ROOT`.

    Args:
        overrides: As behind `kedro run`, one string each.
        env: As ``kedro run --env``; without it `KEDRO_ENV`, else `local`.

    Raises:
        UserError: There is no project, or the configuration is wrong.
    """
    from fovea.config.runtime_params import OVERRIDES_KEY
    from fovea.core.places import project_root

    root = project_root()
    # Kedro looks for it from the working directory, which for a notebook is another, and as soon as it is imported.
    os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(root / "conf" / "logging.yml"))
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(root)
    params = {OVERRIDES_KEY: list(overrides)} if overrides else None
    session = KedroSession.create(root, env=env, runtime_params=params)
    context = session.load_context()
    loader: Any = context.config_loader
    return Project(session, context.catalog, loader.config, loader.composition)


@dataclass(frozen=True, eq=False)
class Trained:
    """What came out of a training and its test, in memory, so that the next one takes nothing of it away.

    Attributes:
        name: Of the MLflow run.
        metrics: Of the test pictures, by name, as in `test/acc`.
        history: A row an epoch: `epoch`, `train/loss`, `train/acc`, `val/loss`, `val/acc`, `lr`.
        network: In evaluation mode; pictures of 0..255 in, logits out.
    """

    name: str
    metrics: dict[str, float]
    history: pd.DataFrame
    network: NormalizedNet

    def __str__(self) -> str:
        """One line with the accuracy and its interval."""
        middle, low, high = (100 * self.metrics[f"test/acc{end}"] for end in ("", "_low", "_high"))
        return f"{self.name}: test accuracy {middle:.1f} %, interval {low:.1f} to {high:.1f}"


def train(overrides: Sequence[str] = (), env: str | None = None) -> Trained:
    """Does what `kedro run` with these overrides does, and keeps what came out; arguments as those of `load`.

    Raises:
        UserError: There is no project, or the configuration is wrong.
        RunError: The data cannot be had, training failed, or the disk is full.
    """
    project = load(overrides, env)
    project.session.run()
    model = project.catalog.load("model")
    return Trained(
        name=model.facts["run_name"],
        metrics=project.catalog.load("metrics"),
        history=project.catalog.load("history"),
        network=model.network(),
    )


def network(overrides: Sequence[str] = ()) -> NormalizedNet:
    """The configured network before its training: with new weights, drawn from `seed`, or with `model.weights`.

    Args:
        overrides: As behind `kedro run`; nothing of the data is read, so that `data.classes` must be known.

    Returns:
        In evaluation mode; pictures of 0..255 in, logits out.

    Raises:
        UserError: There is no project, or the configuration is wrong.
        RunError: Published weights can be had nowhere.
    """
    config = load(overrides).config
    import torch

    from fovea.models import weights
    from fovea.training.network import build_network, load_first_weights

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        built = build_network(weights.resolve(config.model, config.data), config.data)
    load_first_weights(built, config.model)
    return built.eval()
