"""The one form of a prepared data set on disk: Arrow shards, a manifest, and the handle that opens them."""

from fovea.shards.prepared import PreparedData
from fovea.shards.reader import Split
from fovea.shards.store import prepare

__all__ = ["PreparedData", "Split", "prepare"]
