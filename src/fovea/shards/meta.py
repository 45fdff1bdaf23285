"""What a prepared data set says of itself: `prepared.json`, written last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from fovea.datasets.samples import SPLITS, Encoding, SplitName

FORMAT = 1  # raised whenever the same input would give other bytes
NAME = "prepared.json"
MANIFEST = "manifest.parquet"


@dataclass(frozen=True)
class FileInfo:
    """A file of the folder: name, rows, size and hex sha256; `split` of a shard, None of the manifest."""

    name: str
    rows: int
    bytes: int
    sha256: str
    split: SplitName | None = None


@dataclass(frozen=True)
class Meta:
    """The content of `prepared.json`.

    Attributes:
        name: The data set's name.
        classes: Names of the classes, by label.
        channels: 1 or 3.
        image_size: Height and width in pixels that the config gives.
        encoding: Of the images in the shards.
        counts: Pictures in each split.
        digest: Hex digest of everything the bytes follow from: source, config, format.
        source_digest: Hex digest of the source files.
        settings: The part of the config that decides the split and the shards.
        manifest: The manifest file.
        shards: The shard files, those of the training split first.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    image_size: int
    encoding: Encoding
    counts: dict[str, int]
    digest: str
    source_digest: str
    settings: dict[str, Any]
    manifest: FileInfo
    shards: tuple[FileInfo, ...]

    @property
    def files(self) -> tuple[FileInfo, ...]:
        """Every file but `prepared.json` itself."""
        return (self.manifest, *self.shards)

    def write(self, folder: Path) -> None:
        """Writes `prepared.json`."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True, ensure_ascii=False)
        (folder / NAME).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads `prepared.json`.

        Raises:
            OSError: There is none, or it cannot be read.
            ValueError: It is not one of this format.
        """
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        try:
            if content.pop("format") != FORMAT:
                raise ValueError("it is of another version of Fovea")
            meta = cls(**{**content, **_typed(content)})
            if set(meta.counts) != set(SPLITS) or any(Path(file.name).name != file.name for file in meta.files):
                raise ValueError("its contents are not as expected")
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"its contents are not as expected ({error})") from error
        return meta


def _typed(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "classes": tuple(content["classes"]),
        "manifest": FileInfo(**content["manifest"]),
        "shards": tuple(FileInfo(**shard) for shard in content["shards"]),
    }
