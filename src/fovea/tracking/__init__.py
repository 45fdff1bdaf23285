"""The MLflow run of a model: opened once, shared by every stage, ended truthfully.

MLflow is imported when the first stage opens.
"""

from fovea.tracking.data_run import log_data
from fovea.tracking.facts import RunFacts
from fovea.tracking.giving_up import give_up
from fovea.tracking.record import recorded_id
from fovea.tracking.run import NullRun, Run
from fovea.tracking.session import Summary, close, configure, configure_exported, exported, finish, hold_open, stage

__all__ = [
    "NullRun",
    "Run",
    "RunFacts",
    "Summary",
    "close",
    "configure",
    "configure_exported",
    "exported",
    "finish",
    "give_up",
    "hold_open",
    "log_data",
    "recorded_id",
    "stage",
]
