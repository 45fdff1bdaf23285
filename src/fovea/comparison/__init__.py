"""Runs that are over, side by side: what differs between them, and whether one is better by more than chance."""
