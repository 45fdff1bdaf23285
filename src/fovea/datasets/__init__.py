"""Sources of pictures: one module a format, fetching with checksums, and the handle of a verified source."""

from fovea.datasets.source import SourceFile, SourceFiles

__all__ = ["SourceFile", "SourceFiles"]
