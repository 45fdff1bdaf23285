"""What a run was made from, as its `config/resolved.yaml` keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fovea.core.errors import RunError, UserError
from fovea.training.job import TrainJob

RESOLVED = "config/resolved.yaml"


@dataclass(frozen=True)
class Recipe:
    """All that decides a run, but for code, data and machine.

    Attributes:
        job: What was trained, with the classes and the first weights as they were found then.
        config: The sections of the config.
        choices: The member chosen of each config group.
        overrides: What the user wrote after the command.
    """

    job: TrainJob
    config: Mapping[str, Any]
    choices: Mapping[str, str]
    overrides: Sequence[str]


def recipe_of(text: str, who: str) -> Recipe:
    """Reads the content of `config/resolved.yaml`.

    Args:
        text: The content.
        who: Names the run in errors.

    Raises:
        UserError: The run is a fold of a cross-validation, or its configuration is none of today's code.
        RunError: The file is damaged.
    """
    import yaml

    try:
        content = yaml.safe_load(text)
        fold, facts, sections = content.get("fold"), content["tracking"]["facts"], content["job"]
        config, choices, overrides = facts["config"], facts["choices"], facts["overrides"]
        missing = [name for name in ("data", "prepare", "evaluate") if name not in config]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"the artifact {RESOLVED} of {who} is damaged ({error})") from None
    if fold is not None:
        raise UserError(
            f"{who} is a fold of a cross-validation, which is not reproduced alone; run the command of the whole again"
        )
    if missing:
        raise RunError(f"the artifact {RESOLVED} of {who} has no section {', '.join(missing)}")
    try:
        return Recipe(TrainJob.parse(sections), config, choices, overrides)
    except UserError as error:
        raise UserError(
            f"the configuration of {who} is none of today's code: {error}; check out the commit that it was made with"
        ) from None
