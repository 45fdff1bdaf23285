"""What differs between runs, each as rows of a name and a text for every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fovea.comparison.past import PastRun

Row = tuple[str, Sequence[str | None]]
"""A name, and its value in each run; None where a run has none."""

_ORIGIN = {
    "data digest": "data_digest",
    "git commit": "mlflow.source.git.commit",
    "uncommitted changes": "git_dirty",
    "precision": "precision",
    "processes": "world_size",
    "cpu": "cpu",
    "cores": "cores",
    "gpu": "gpu",
    "python": "python",
    "host": "host",
}
_ENDS = ("_low", "_high")


@dataclass(frozen=True)
class Value:
    """A metric of a run, with the ends of its interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def text(self) -> str:
        """As `0.9259 [0.9081, 0.9405]`."""
        number = f"{self.value:,.0f}" if abs(self.value) >= 1000 and self.value.is_integer() else f"{self.value:.4f}"
        return number if self.low is None or self.high is None else f"{number} [{self.low:.4f}, {self.high:.4f}]"


def parameters(runs: Sequence[PastRun]) -> list[Row]:
    """The parameters that are not the same in all runs."""
    return _unlike([run.params for run in runs])


def packages(runs: Sequence[PastRun]) -> list[Row]:
    """The packages whose versions are not the same in all runs, of those runs that tell."""
    known = [run.packages or {} for run in runs]
    rows = _unlike(known)
    told = [run.packages is not None for run in runs]
    return [(name, values) for name, values in rows if len({v for v, t in zip(values, told, strict=True) if t}) > 1]


def origins(runs: Sequence[PastRun]) -> list[Row]:
    """What differs in data, code and machine, by names of the field."""
    return _unlike([{name: run.tags[tag] for name, tag in _ORIGIN.items() if tag in run.tags} for run in runs])


def metrics(runs: Sequence[PastRun]) -> list[tuple[str, list[Value | None]]]:
    """The metrics of the test pictures, in the order of the first run that has them."""
    names = _names(run.metrics for run in runs)
    bases = [name for name in names if name.startswith("test/") and not _is_end(name, names)]
    return [(name, [_value(run.metrics, name) for run in runs]) for name in bases]


def costs(runs: Sequence[PastRun], latencies: Sequence[float] = ()) -> list[Row]:
    """Minutes of training, size of the network and, where they were measured, milliseconds for one picture."""
    rows: list[Row] = [
        ("training, minutes", [_shown(run.minutes, "{:.2f}") for run in runs]),
        ("parameters", [_shown(run.parameters, "{:,}") for run in runs]),
    ]
    if latencies:
        rows.append(("one picture on the CPU, ms", [f"{seconds * 1e3:.2f}" for seconds in latencies]))
    return rows


def _unlike(mappings: Sequence[Mapping[str, str]]) -> list[Row]:
    rows = [(name, [mapping.get(name) for mapping in mappings]) for name in _names(mappings)]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """All keys, each once, in the order in which they come up."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _is_end(name: str, names: Sequence[str]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in names for end in _ENDS)


def _value(values: Mapping[str, float], name: str) -> Value | None:
    return Value(values[name], *(values.get(f"{name}{end}") for end in _ENDS)) if name in values else None


def _shown(value: float | None, form: str) -> str | None:
    fill: Callable[[float], str] = form.format
    return None if value is None else fill(value)
