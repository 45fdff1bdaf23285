"""How the training of a trial is made of the configuration, and what makes a search the same search again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.config.groups import TUNE
from fovea.config.runtime_params import OVERRIDES_KEY
from fovea.core.digest import data_digest
from fovea.core.errors import UserError
from fovea.tracking.params import cut, flatten
from fovea.training.job import TrainJob, without_effect
from fovea.tuning.space import Space, check_free, extremes_of, overrides_of

_SHARED = ("data", "prepare")
"""The sections that decide the pictures, which all trials share."""
_MOST_DIFFERENCES = 5
_SHOWN = 80


@dataclass(frozen=True)
class Composed:
    """A configuration.

    Attributes:
        job: What it trains.
        config: As plain data.
        choices: The member chosen of each group.
    """

    job: TrainJob
    config: Mapping[str, Any]
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """What all trials of a search share.

    Attributes:
        conf: The folder of the configuration.
        env: Kedro's environment.
        loader: Further arguments of the config loader.
        overrides: Of the space and then of the command line.
    """

    conf: Path
    env: str | None
    loader: Mapping[str, Any]
    overrides: tuple[str, ...]

    def composed(self, lines: Sequence[str] = ()) -> Composed:
        """The configuration of a trial.

        Args:
            lines: Its own overrides.

        Raises:
            UserError: They make no valid configuration.
        """
        from fovea.config.loader import HydraConfigLoader

        words = [*self.overrides, *lines]
        loader = HydraConfigLoader(self.conf, self.env, {OVERRIDES_KEY: words} if words else {}, **self.loader)
        config = loader.composition.config
        job = TrainJob.parse({name: config[name] for name in TrainJob.model_fields})
        choices = {group: member for group, member in loader.composition.choices.items() if member is not None}
        return Composed(job, config, choices)


def recipe_of(space: Space, conf: Path, env: str | None, loader: Mapping[str, Any], overrides: Sequence[str]) -> Recipe:
    """The recipe of a search.

    Raises:
        UserError: An override sets what is searched.
    """
    check_free(space, [*space.config.overrides, *overrides])
    return Recipe(conf, env, loader, (*space.config.overrides, *overrides))


def run_words(env: str | None, overrides: Sequence[str]) -> tuple[str, ...]:
    """The words behind `kedro run` that make a training of a search.

    Args:
        env: Kedro's environment; None: the usual one.
        overrides: Of the training.
    """
    return (*(("--env", env) if env else ()), *overrides)


def check_space(space: Space, recipe: Recipe, base: Composed) -> dict[str, str]:
    """Tries whether the configuration takes the ends of every range and every choice.

    Args:
        space: What is searched.
        recipe: What all trials share.
        base: The configuration without any parameter of the space.

    Returns:
        The digest of the training that each makes; what decides no weights does not count.

    Raises:
        UserError: A parameter is unknown, a value is wrong, a combination does not fit together, or a parameter changes
            the data.
    """
    where = f"conf/{TUNE}/{space.name}.yaml"
    if base.job.trainer.devices != 1:
        raise UserError(
            f"trainer.devices={base.job.trainer.devices}: a trial trains on one device, and several trials at once use "
            "several; take trainer.devices=1 and --workers"
        )
    found = {}
    for point in extremes_of(space):
        lines = overrides_of(space, point)
        try:
            made = recipe.composed(lines)
        except UserError as error:
            raise UserError(f"{where}: {error} (tried: {' '.join(lines)})") from None
        for name in _SHARED:
            if made.config[name] != base.config[name]:
                raise UserError(
                    f"{where}: the parameters change '{name}' (tried: {' '.join(lines)}), and trials on different "
                    "pictures cannot be compared; take them out"
                )
        found[" ".join(lines)] = data_digest(without_effect(made.job.plain()))
    if len(set(found.values())) < len(found):
        raise UserError(f"{where}: {_idle(space, found)}")
    return found


def _idle(space: Space, found: Mapping[str, str]) -> str:
    """The parameter of which two values make the same training."""
    points = dict(zip(found, extremes_of(space), strict=True))
    seen: dict[str, str] = {}
    for line, digest in found.items():
        twin = seen.setdefault(digest, line)
        if twin != line:
            keys = [key for key in space.parameters if points[line][key] != points[twin][key]]
            return f"not all values of {' and '.join(map(repr, keys))} make another training; take it out"
    return "two points make the same training"


def identity_of(space: Space, base: Composed, tried: Mapping[str, str], data: str) -> dict[str, Any]:
    """What makes trials of two commands trials of one search.

    Args:
        space: What is searched; how long does not count.
        base: The configuration without any parameter of the space.
        tried: As `check_space` gives it.
        data: Digest of the prepared data.
    """
    search = space.config.model_dump(mode="json", exclude={"n_trials", "timeout_minutes", "overrides", "parameters"})
    parameters = {key: one.model_dump(mode="json") for key, one in space.parameters.items()}
    config = without_effect(base.job.plain())
    return {"search": search, "parameters": parameters, "config": config, "data": data, "tried": dict(tried)}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two identities, in words; of the configurations tried only where nothing else does."""
    sides = [{key: value for key, value in side.items() if key != "tried"} for side in (before, now)]
    found = list(_differing(*map(flatten, sides)))
    if not found and before.get("tried") != now.get("tried"):
        lines = [line for line, digest in now["tried"].items() if before.get("tried", {}).get(line) != digest]
        found = [f"what '{line}' makes of the configuration" for line in lines or ["a value"]]
    more = [f"and {len(found) - _MOST_DIFFERENCES} more"] if len(found) > _MOST_DIFFERENCES else []
    return [*found[:_MOST_DIFFERENCES], *more]


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys([*before, *now]):
        then, today = before.get(key), now.get(key)
        if then != today:
            name = key.removeprefix("search.").removeprefix("config.")
            yield f"{name} was {_side(then)} and is {_side(today)}"


def _side(value: str | None) -> str:
    return "not there" if value is None else cut(value, _SHOWN)
