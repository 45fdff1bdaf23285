"""A search space: read from `conf/tune`, and its points as overrides of the configuration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.config.groups import TUNE
from fovea.config.runtime_params import written
from fovea.config.schema import parse
from fovea.config.schema.parse import show
from fovea.config.schema.tuning import ChoicesConfig, RangeConfig, SpaceConfig
from fovea.core.errors import UserError, nearest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Parameter = ChoicesConfig | RangeConfig
Value = str | int | float
Point = dict[str, Value]
"""A value for each parameter, as the database keeps it: a number of a range, or a choice as overrides write it."""

_DIGITS = 4  # of a number that is drawn: more say nothing, and an override is read by people
_MOST_COMBINATIONS = 10_000
_TRIALS = 20


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        name: Of its file.
        config: Its content.
        parameters: By dotted key or by group.
    """

    name: str
    config: SpaceConfig
    parameters: Mapping[str, Parameter]

    @classmethod
    def of(cls, name: str, raw: Mapping[str, Any]) -> Space:
        """Makes a space of plain data.

        Raises:
            UserError: A key is unknown or a value is wrong; the sentence names the file.
        """
        where = f"conf/{TUNE}/{name}.yaml"
        try:
            config = parse(SpaceConfig, raw, "")
            parameters = {key: _parameter(key, value) for key, value in config.parameters.items()}
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        space = cls(name, config, parameters)
        if config.sampler == "grid":
            _check_grid(space, where)
        return space

    @property
    def combinations(self) -> int | None:
        """Of a grid; None: it is none."""
        return sum(1 for _ in grid_of(self)) if self.config.sampler == "grid" else None

    def trials(self, wished: int | None = None) -> int:
        """How many trials the search has: as the command says, or the space, or the grid; never more than that has."""
        most = self.combinations
        trials = wished or self.config.n_trials or most or _TRIALS
        return trials if most is None else min(trials, most)


def read_space(conf: Path, name: str) -> Space:
    """Reads `conf/tune/<name>.yaml`.

    Raises:
        UserError: There is no such space, or it is wrong.
    """
    from omegaconf import OmegaConf

    from fovea.config.mistakes import check_yaml

    path = conf / TUNE / f"{name}.yaml"
    known = sorted(one.stem for one in (conf / TUNE).glob("*.yaml"))
    if name not in known:
        raise UserError(f"unknown space '{name}': there is no {conf.name}/{TUNE}/{name}.yaml{nearest(name, known)}")
    check_yaml([path], conf)
    raw = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return Space.of(name, {str(key): value for key, value in raw.items()} if isinstance(raw, dict) else {})


def _parameter(key: str, raw: Any) -> Parameter:
    values = {"choices": raw} if isinstance(raw, list) else raw
    if not isinstance(values, dict):
        raise UserError(
            f"'parameters.{key}' = {show(raw)} is wrong: it must be a list of values, or low and high; what all trials "
            f"share stands in overrides: [{key}={written(raw)}]"
        )
    kind: Any = ChoicesConfig if "choices" in values else RangeConfig
    found: Parameter = parse(kind, values, f"parameters.{key}")
    return found


def _check_grid(space: Space, where: str) -> None:
    """Refuses what cannot be tried whole."""
    count = 1
    for key, parameter in space.parameters.items():
        if isinstance(parameter, RangeConfig) and not parameter.is_whole and parameter.step is None:
            raise UserError(
                f"{where}: 'parameters.{key}' is a continuous range, of which sampler 'grid' cannot try every value; "
                "give it a list of values or a step, or take sampler: tpe"
            )
        count *= sum(1 for _ in _values(parameter))
        if count > _MOST_COMBINATIONS:
            raise UserError(
                f"{where}: sampler 'grid' would try more than {_MOST_COMBINATIONS:,} combinations; give fewer values, "
                "or take sampler: tpe"
            )


def _values(parameter: Parameter) -> Iterator[Value]:
    """Every value of a parameter that has not infinitely many."""
    if isinstance(parameter, ChoicesConfig):
        yield from choices_of(parameter)
        return
    step = parameter.step or 1
    count = int((parameter.high - parameter.low) / step + 1e-8) + 1
    for place in range(count):
        value = parameter.low + place * step
        yield value if parameter.is_whole else float(f"{value:.12g}")


def grid_of(space: Space) -> Iterator[Point]:
    """Every combination, the last parameter changing fastest."""
    for values in itertools.product(*map(list, map(_values, space.parameters.values()))):
        yield dict(zip(space.parameters, values, strict=True))


def extremes_of(space: Space) -> Iterator[Point]:
    """Points that show whether the configuration takes the space: the first, and each other end and choice alone."""
    ends = {
        key: list(_values(parameter)) if isinstance(parameter, ChoicesConfig) else [parameter.low, parameter.high]
        for key, parameter in space.parameters.items()
    }
    first: Point = {key: values[0] for key, values in ends.items()}
    yield first
    for key, values in ends.items():
        for value in values[1:]:
            yield first | {key: value}


def overrides_of(space: Space, point: Mapping[str, Value]) -> list[str]:
    """The words of `kedro run` that a point stands for."""
    return [f"{key}={_text(space.parameters[key], value)}" for key, value in point.items()]


def _text(parameter: Parameter, value: Value) -> str:
    if isinstance(parameter, ChoicesConfig) or isinstance(value, str):
        return str(value)
    if parameter.is_whole:
        return repr(int(value))
    short = float(f"{value:.12g}" if parameter.step is not None else f"{value:.{_DIGITS}g}")
    return repr(min(max(short, float(parameter.low)), float(parameter.high)))


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """The space as Optuna takes it."""
    return {key: _distribution(parameter) for key, parameter in space.parameters.items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, ChoicesConfig):
        return CategoricalDistribution(choices_of(parameter))
    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.is_whole:
        return IntDistribution(int(low), int(high), parameter.log, int(step or 1))
    return FloatDistribution(float(low), float(high), parameter.log, None if step is None else float(step))


def check_free(space: Space, overrides: Sequence[str]) -> None:
    """Refuses an override of what is searched.

    Args:
        space: What is searched.
        overrides: Of the command line.

    Raises:
        UserError: One names a parameter of the space.
    """
    for line in overrides:
        key = line.partition("=")[0].lstrip("+")
        if key in space.parameters:
            raise UserError(
                f"'{line}' sets what conf/{TUNE}/{space.name}.yaml searches; leave it out, or take '{key}' out of a "
                "copy of that file and name it by --space"
            )


def choices_of(parameter: ChoicesConfig) -> list[str]:
    """The choices as they stand in overrides."""
    return list(map(written, parameter.choices))
