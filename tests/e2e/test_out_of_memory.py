"""A training under a limit of memory that its batch does not fit in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
_KILOBYTES = 7_000_000  # of address space, of which the libraries take more than half


@pytest.mark.timeout(900)
def test_it_is_told_with_the_batch_that_would_fit(make_project: Callable[..., Any]) -> None:
    project = make_project("memory")
    project.run("kedro", "run", "--pipelines=ingest,prepare")
    before = project.outputs()
    command = "kedro run --pipelines=ingest,prepare,train model=resnet18 loader.batch_size=3000"
    sentence = project.refused("sh", "-c", f"ulimit -v {_KILOBYTES}; exec {command}", code=1, before=before)
    found = re.search(
        r"Error: out of memory with loader\.batch_size=3000: a step needs about ([\d.]+) GB and ([\d.]+) GB are "
        r"available; about loader\.batch_size=(\d+) fits, with trainer\.accumulate_batches=(\d+) for the same step",
        sentence,
    )
    assert found is not None, sentence
    needed, available, size, parts = (float(group) for group in found.groups())
    assert available < 7 < needed < 60
    assert size == 3000 // parts
    assert 0.3 * available < needed * size / 3000 < available
