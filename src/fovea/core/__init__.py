"""The ground floor: errors, files, locks, digests, places. Imports nothing of Fovea and nothing heavy."""
