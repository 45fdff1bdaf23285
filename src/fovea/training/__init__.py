"""Training: what to train, how, where its state lies, and what comes out. Importing it loads no torch."""

from fovea.training.job import TrainJob
from fovea.training.result import TrainedModel

__all__ = ["TrainJob", "TrainedModel"]
