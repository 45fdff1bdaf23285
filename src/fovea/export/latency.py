"""How long one picture takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

_FIRST = 3  # calls before the clock runs: memory is taken, kernels are chosen
_MOST = 100
_SECONDS = 2.0


def milliseconds(call: Callable[[], Any]) -> float:
    """The median time of a call, of up to 100 within some 2 s."""
    for _ in range(_FIRST):
        call()
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while not taken or (len(taken) < _MOST and time.perf_counter() < end):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)
