"""A search space: `conf/tune/<name>.yaml`. What is searched, by what, and how long; only `parameters` must be given."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fovea.config.schema.base import Count, Positive, Section, Seed, Text, Whole

Choice = str | int | float | bool | None | list[str | int | float | bool]

_BETTER = {"val/acc": "maximize", "val/loss": "minimize"}


class ChoicesConfig(Section):
    """A parameter that takes one of some values.

    Attributes:
        choices: The values; members of a group by their names.
    """

    choices: Annotated[list[Choice], Field(min_length=2)]

    @field_validator("choices")
    @classmethod
    def _no_value_twice(cls, choices: list[Choice]) -> list[Choice]:
        if len({json.dumps(choice) for choice in choices}) < len(choices):
            raise ValueError("a list that names no value twice")
        return choices


class RangeConfig(Section):
    """A parameter that takes a number of a range, ends included. Whole numbers where both ends are whole.

    Attributes:
        low: The least.
        high: The greatest.
        log: Every order of magnitude as often as every other, as for a learning rate.
        step: Only numbers that are so far apart; None: every number.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: Annotated[int | float, Field(gt=0)] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @model_validator(mode="after")
    def _is_a_range(self) -> RangeConfig:
        if self.low >= self.high:
            raise ValueError(f"a range whose low ({self.low:g}) is below its high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"a range above 0, as log: true takes its logarithm (low is {self.low:g})")
        if self.log and self.step is not None:
            raise ValueError("a range with either log: true or a step")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError(f"a range in which a step of {self.step:g} leads from low to another number")
        return self


class SpaceConfig(Section):
    """A search.

    Attributes:
        metric: By which trials are judged, of the weights that each delivers. Never one of the test pictures, which
            would then be training pictures.
        direction: Which values of it are better.
        sampler: What proposes the next trial: `tpe` learns from those before (Bergstra et al. 2011), `random` does not,
            `grid` tries every combination.
        seed: Of the sampler.
        startup_trials: Trials drawn at random before `tpe` learns and the median prunes.
        pruner: What ends a bad trial at the end of an epoch: `median` (worse than the median of the others at that
            epoch), `hyperband` (Li et al. 2018), `none`.
        warmup_epochs: In which no trial is ended.
        n_trials: Trials in all; None: 20, or every combination of a grid.
        timeout_minutes: After which no new trial begins; None: no limit.
        overrides: What all trials change of the configuration, as words of `kedro run`.
        parameters: What is searched: a list of values, `choices`, or `low` and `high`, by dotted key or by group.
    """

    metric: Literal["val/acc", "val/loss"] = "val/acc"
    direction: Literal["maximize", "minimize"] = Field("maximize", validate_default=True)
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    seed: Seed = 0
    startup_trials: Whole = 5
    pruner: Literal["median", "hyperband", "none"] = "median"
    warmup_epochs: Whole = 1
    n_trials: Count | None = None
    timeout_minutes: Positive | None = None
    overrides: list[Text] = Field(default_factory=list)
    parameters: Annotated[dict[Text, Any], Field(min_length=1)]

    @field_validator("metric", mode="before")
    @classmethod
    def _not_of_test(cls, metric: Any) -> Any:
        if str(metric).startswith("test/"):
            raise ValueError("val/acc or val/loss: what the test pictures choose, they cannot judge any more")
        return metric

    @field_validator("direction")
    @classmethod
    def _is_better(cls, direction: str, info: ValidationInfo) -> str:
        better = _BETTER.get(info.data.get("metric", ""), direction)
        if direction != better:
            raise ValueError(f"{better} for metric: {info.data['metric']}")
        return direction
