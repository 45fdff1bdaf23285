"""What a delivered file says of the MLflow run that its model came out of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fovea import tracking
from fovea.evaluation.calibrated import temperature_of


@dataclass(frozen=True)
class Origin:
    """The run of a model, as far as it is known.

    Attributes:
        run_id: Its id; None: not known.
        temperature: That its evaluation fitted; None: it fitted none, or is not known.
    """

    run_id: str | None = None
    temperature: float | None = None

    @classmethod
    def of(cls, record: Path) -> Origin:
        """That of the run that a record names; what MLflow cannot tell is not known."""
        run_id = tracking.recorded_id(record)
        return cls(run_id, temperature_of(run_id))

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def texts(self) -> dict[str, str]:
        """As texts for a file's metadata."""
        return {"run_id": self.run_id or "", "temperature": json.dumps(self.temperature)}


UNKNOWN = Origin()
"""A model whose run is not known."""
