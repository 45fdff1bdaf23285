"""Trained models, measured as one."""
