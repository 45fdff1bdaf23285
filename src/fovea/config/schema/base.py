"""The base of every section of the configuration, and the kinds of value that sections share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from fovea.core.errors import nearest

Count = Annotated[int, Field(ge=1)]
"""A whole number, at least 1."""
Whole = Annotated[int, Field(ge=0)]
"""A whole number, at least 0."""
Seed = Annotated[int, Field(ge=0, lt=10**18)]
"""A whole number that NumPy and torch take as a seed."""
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
"""A number strictly between 0 and 1."""
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1, ends included."""
BelowOne = Annotated[float, Field(ge=0, lt=1)]
"""A number from 0 to 1, without 1: a dropout rate, a momentum."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that is safe as the name of a file."""
Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section of the configuration: strict types, no key beyond its own, never changed once made."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, raw: Any) -> Any:
        """Refuses an unknown key before anything else is looked at: it explains a missing one, and not the reverse."""
        if isinstance(raw, dict):
            for key in raw:
                if key not in cls.model_fields:
                    way_out = nearest(str(key), cls.model_fields)
                    raise PydanticCustomError("unknown_key", "{key}{way_out}", {"key": str(key), "way_out": way_out})
        return raw
