"""A trained model and prepared data to metrics, predictions and a report."""
