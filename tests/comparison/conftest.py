"""Runs made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import pytest

from fovea.comparison.past import PastRun


def table_of(predicted: str, labels: str, ids: Sequence[str] | None = None) -> pd.DataFrame:
    """A row a letter: what was predicted, and what it is."""
    names = list(ids) if ids is not None else [f"digit-{row}" for row in range(len(labels))]
    sure = [0.5 + 0.01 * row for row in range(len(labels))]
    # A column that is not asked for, as later versions may add.
    return pd.DataFrame({"id": names, "label": list(labels), "predicted": list(predicted), "probability": sure, "x": 1})


@pytest.fixture
def predictions() -> Callable[..., pd.DataFrame]:
    return table_of


@pytest.fixture
def past() -> Callable[..., PastRun]:
    """A run that predicted some letters: `past("one", "aab", labels="abb", ids=None, params={}, ...)`."""

    def make(
        name: str,
        predicted: str,
        labels: str,
        ids: Sequence[str] | None = None,
        params: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> PastRun:
        return PastRun(
            run_id=rest.pop("run_id", name * 8),
            name=name,
            params={"data.name": "digits", **(params or {})},
            predictions=table_of(predicted, labels, ids),
            **rest,
        )

    return make
