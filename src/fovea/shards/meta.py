"""What a prepared data set says of itself: `prepared.json`, written last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from fovea.datasets.samples import SPLITS, Encoding

FORMAT = 2  # raised whenever the same input would give other bytes
NAME = "prepared.json"
MANIFEST = "manifest.parquet"
QUARANTINE = "quarantine.arrow"


@dataclass(frozen=True)
class FileInfo:
    """A file of the folder: name, rows, size and hex sha256; 0 rows of what is no table."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Meta:
    """The content of `prepared.json`.

    Attributes:
        name: The data set's name.
        classes: Names of the classes, by label.
        channels: 1 or 3.
        image_size: Height and width in pixels of raw pictures; None of encoded ones, which have sizes of their own.
        encoding: Of the images in the shards.
        counts: Kept pictures in each split.
        digest: Hex digest of everything the bytes follow from: source, config, format.
        source_digest: Hex digest of the source files.
        settings: The part of the config that decides the split and the shards.
        manifest: The manifest file.
        shards: The shard files, in the order of the source.
        resize: Pixels that the short side of larger pictures was reduced to, or None.
        left_out: For each split the rows that readers skip, as numbers within the split with these rows still in it.
        quality: Numbers of the manifest: pictures by status and reason, copies, conflicts, leaks, by class.
        quarantine: The file of quarantined pictures.
        report: The files of the data report.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    image_size: int | None
    encoding: Encoding
    counts: dict[str, int]
    digest: str
    source_digest: str
    settings: dict[str, Any]
    manifest: FileInfo
    shards: tuple[FileInfo, ...]
    resize: int | None = None
    left_out: dict[str, list[int]] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    quarantine: FileInfo | None = None
    report: tuple[FileInfo, ...] = ()

    @property
    def files(self) -> tuple[FileInfo, ...]:
        """Every file but `prepared.json` itself."""
        return (self.manifest, *((self.quarantine,) if self.quarantine else ()), *self.report, *self.shards)

    def only(self, split: str) -> Self:
        """What a reader of one split needs, without the rest."""
        left_out = {split: self.left_out.get(split, [])}
        return replace(self, classes=(), settings={}, quality={}, report=(), quarantine=None, left_out=left_out)

    def write(self, folder: Path) -> None:
        """Writes `prepared.json`."""
        content = {"format": FORMAT, **asdict(self)}
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
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
        "quarantine": FileInfo(**content["quarantine"]) if content["quarantine"] else None,
        "report": tuple(FileInfo(**file) for file in content["report"]),
        "shards": tuple(FileInfo(**shard) for shard in content["shards"]),
    }
