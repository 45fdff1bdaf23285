"""Prepared data to an estimate by cross-validation."""
