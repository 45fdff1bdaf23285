"""A trained model and any pictures to a table and a page: the predict stage.

Importing it imports nothing heavy.
"""

from fovea.prediction.page import PredictionPage

__all__ = ["PredictionPage"]
