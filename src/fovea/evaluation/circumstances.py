"""On which data and with which confidence a run was tested last: tags of the run, for whoever reads its numbers later.

Its test numbers are replaced by every evaluation, its parameters are those of the first command for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fovea.shards import PreparedData

DATA = "evaluated_data"
DATA_DIGEST = "evaluated_data_digest"
CONFIDENCE = "evaluate.confidence"
"""Also the name of the parameter, which runs before this tag have alone."""


def circumstances(prepared: PreparedData, confidence: float) -> dict[str, str]:
    """The tags of a run that is tested.

    Args:
        prepared: The data that it is tested on.
        confidence: Coverage of the intervals, as 0.95.
    """
    return {DATA: prepared.meta.name, DATA_DIGEST: prepared.meta.digest, CONFIDENCE: str(confidence)}
