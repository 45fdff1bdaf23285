"""The rows of a layer table, and the forms in which it is shown. Needs no torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEAD = ("layer", "type", "output", "parameters", "multiply-adds", "field", "stride")
_TEXTS = 3  # columns of words, to the left


@dataclass(frozen=True)
class LayerRow:
    """One layer, in the order of the forward pass. Pairs are of height and width, in pixels of the picture.

    Attributes:
        name: Path of the module inside the network.
        type: Class of the module, or the name of an operation between modules.
        output: Shape of its output for one picture: (C, H, W) or (F,); empty if evaluation does not use the layer.
        parameters: Learned numbers, trained or frozen, that no row above has.
        multiply_adds: Multiplications with addition, for one picture; biases, pools, norms and activations count none.
        receptive_field: What one output sees; larger than the picture where that reaches into the padding. 0: the
            layer's output does not come from the picture.
        stride: Distance of neighbouring outputs.
    """

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: tuple[int, int]
    stride: tuple[int, int]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> LayerRow:
        """A row from JSON, also from the time when field and stride were one number."""

        def pair(value: Any) -> tuple[int, int]:
            return (value, value) if isinstance(value, int) else (value[0], value[1])

        pairs = {key: pair(plain[key]) for key in ("receptive_field", "stride")}
        return cls(**{**plain, **pairs, "output": tuple(plain["output"])})

    def cells(self) -> tuple[str, str, str, int, int, str, str]:
        """What stands in the table, in the order of `HEAD`."""
        output = "x".join(map(str, self.output)) or "not run"
        return (
            self.name or "(network)",
            self.type,
            output,
            self.parameters,
            self.multiply_adds,
            _sides(self.receptive_field),
            _sides(self.stride),
        )


def totals(rows: Sequence[LayerRow]) -> tuple[int, int]:
    """Parameters and multiply-adds of all rows."""
    return sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)


def final_field(rows: Sequence[LayerRow]) -> str:
    """What the last layer that evaluation runs sees: one side, or height by width."""
    return next((_sides(row.receptive_field) for row in reversed(rows) if row.output), "–")  # noqa: RUF001


def to_text(rows: Sequence[LayerRow]) -> str:
    """The table as aligned text, with totals in its last line."""
    parameters, multiply_adds = totals(rows)
    body = [row.cells() for row in rows]
    total = ("total", "", "", parameters, multiply_adds, "", "")
    lines = [HEAD, *([cell if isinstance(cell, str) else f"{cell:,}" for cell in cells] for cells in [*body, total])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(_aligned(line, widths) for line in lines)


def to_csv(rows: Sequence[LayerRow]) -> str:
    """The table as CSV, a line a row, heights and widths apart."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    pairs = ("field_height", "field_width", "stride_height", "stride_width")
    writer.writerow(["layer", "type", "output", "parameters", "multiply_adds", *pairs])
    for row in rows:
        output = "x".join(map(str, row.output))
        numbers = (row.parameters, row.multiply_adds, *row.receptive_field, *row.stride)
        writer.writerow([row.name, row.type, output, *numbers])
    return stream.getvalue()


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    places = enumerate(zip(cells, widths, strict=True))
    return "  ".join(cell.ljust(w) if column < _TEXTS else cell.rjust(w) for column, (cell, w) in places).rstrip()


def _sides(pair: tuple[int, int]) -> str:
    if pair == (0, 0):
        return "–"  # noqa: RUF001
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"
