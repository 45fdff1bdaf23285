"""For notebooks: a composed configuration, its catalog and a Kedro session in one call.

from fovea.notebook import load

project = load(["model=deep_mnist", "trainer.max_epochs=3"])
project.config.trainer.max_epochs  # 3
prepared = project.catalog.load("prepared")
project.session.run(pipeline_names=["train"])
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.framework.session import KedroSession

    from fovea.config.compose import Composition
    from fovea.config.schema import Config


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
