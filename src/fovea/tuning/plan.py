"""What the workers of a search are told: a file of JSON in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fovea.core.files import atomic_file
from fovea.tuning.recipe import Recipe
from fovea.tuning.space import Space


@dataclass(frozen=True)
class Plan:
    """A command's search.

    Attributes:
        study: Its name.
        database: Of the trials.
        space: The name of the space.
        content: Of the space, as plain data.
        conf: The folder of the configuration: a copy, so that changes made meanwhile touch no trial.
        env: Kedro's environment.
        loader: Further arguments of the config loader.
        overrides: Of all trials.
        address: Of the data; see `fovea.shards.folds.reopen`.
        parent: Id of the search's MLflow run; None: MLflow is out of reach.
        trials: In all.
        before: The numbers of the trials that had ended when the command began.
        deadline: Seconds since 1970 after which no trial begins; None: no limit.
        max_epochs: Of a training.
    """

    study: str
    database: str
    space: str
    content: Mapping[str, Any]
    conf: str
    env: str | None
    loader: Mapping[str, Any]
    overrides: tuple[str, ...]
    address: Mapping[str, Any]
    parent: str | None
    trials: int
    before: tuple[int, ...]
    deadline: float | None
    max_epochs: int

    def write(self, path: Path) -> None:
        """Writes the file.

        Raises:
            RunError: The disk is full or not writable.
        """
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Reads what `write` wrote."""
        content = json.loads(path.read_text())
        return cls(**{**content, **{key: tuple(content[key]) for key in ("overrides", "before")}})

    @property
    def recipe(self) -> Recipe:
        """What all trials share."""
        return Recipe(Path(self.conf), self.env, self.loader, self.overrides)

    def open_space(self) -> Space:
        """What is searched."""
        return Space.of(self.space, self.content)
