"""The handle of a prepared data set: manifest, shards, and what they were made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fovea.core.errors import RunError, UserError, nearest
from fovea.core.files import publish_directory
from fovea.datasets.samples import SPLITS
from fovea.shards.meta import Meta
from fovea.shards.reader import Split

if TYPE_CHECKING:
    import pandas as pd

_WAY_OUT = "run `kedro run --pipelines=prepare`"


@dataclass(frozen=True)
class PreparedData:
    """A data set ready for training.

    Attributes:
        path: Its folder.
        meta: The content of its `prepared.json`.
    """

    path: Path
    meta: Meta = field(compare=False, repr=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The data set in the folder `path`.

        Raises:
            RunError: There is none, or a file is missing or of another size.
        """
        try:
            meta = Meta.read(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunError(f"'{path}' holds no prepared data; {_WAY_OUT}") from error
        except (OSError, ValueError) as error:
            raise RunError(f"the note of the prepared data in '{path}' cannot be read ({error}); {_WAY_OUT}") from error
        for info in meta.files:
            file = path / info.name
            size = file.stat().st_size if file.is_file() else None
            if size != info.bytes:
                found = "is missing" if size is None else f"has {size:,} bytes instead of {info.bytes:,}"
                raise RunError(f"'{file}' {found}; {_WAY_OUT}")
        return cls(path, meta)

    @property
    def origin(self) -> PreparedData:
        """The data as they were prepared: these, but for a fold, which is a way to part others (`shards.folds`)."""
        return self

    @property
    def address(self) -> dict[str, Any]:
        """What `shards.folds.reopen` opens the same data by."""
        return {"prepared": str(self.path)}

    def publish(self, target: Path) -> None:
        """Puts hard links (or copies) of the files in the place of the folder `target`.

        Raises:
            RunError: The disk is full, read-only or not writable.
        """
        publish_directory(self.path, target)

    def split(self, name: str) -> Split:
        """One of the splits.

        Args:
            name: train, val or test.

        Raises:
            UserError: There is no split of that name.
            RunError: A shard is damaged.
        """
        for known in SPLITS:
            if name == known:
                return Split(self.path, self.meta, known)
        raise UserError(f"there is no split '{name}'{nearest(name, SPLITS)}")

    def manifest(self) -> pd.DataFrame:
        """One row for each picture of the source, with the columns of `fovea.shards.columns.MANIFEST`.

        Raises:
            RunError: It is damaged.
        """
        import pyarrow.parquet as pq

        try:
            with (self.path / self.meta.manifest.name).open("rb") as file:
                table: pd.DataFrame = pq.read_table(file).to_pandas()
        except (OSError, ValueError) as error:
            raise RunError(f"the manifest in '{self.path}' cannot be read ({error}); {_WAY_OUT}") from error
        return table

    def quarantine(self) -> Any:
        """An Arrow table of the pictures that could not be used, with the columns of `columns.QUARANTINE`.

        Raises:
            RunError: It is damaged.
        """
        import pyarrow as pa

        from fovea.shards import columns

        if self.meta.quarantine is None:
            return columns.QUARANTINE.empty_table()
        path = self.path / self.meta.quarantine.name
        try:
            with path.open("rb") as file:
                return pa.ipc.open_file(file).read_all()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RunError(f"'{path}' cannot be read ({error}); {_WAY_OUT}") from error
