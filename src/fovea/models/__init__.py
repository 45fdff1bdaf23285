"""Networks by name. Importing this package imports no torch; `fovea.models.registry` is the door."""
