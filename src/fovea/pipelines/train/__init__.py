"""Prepared data to a trained model."""
