"""The temperature that a run's evaluation has fitted, for whoever uses its model later."""

from __future__ import annotations

import logging

from fovea.core.errors import FoveaError

log = logging.getLogger("fovea")

TEMPERATURE = "calibration/temperature"
"""The metric of a run."""


def temperature_of(run_id: str | None) -> float | None:
    """The temperature of a run's model.

    Args:
        run_id: Of the MLflow run; None: it is not known.

    Returns:
        None where the run was not evaluated, nothing could be fitted, or MLflow cannot tell, which the log says.
    """
    if run_id is None:
        return None
    from fovea.tracking.finding import find_run

    try:
        found = find_run(run_id).run.data.metrics.get(TEMPERATURE)
    except FoveaError as error:
        log.warning("the temperature of the run %s is not known: %s", run_id, error)
        return None
    return found if found is not None and found > 0 else None
