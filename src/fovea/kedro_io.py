"""Kedro datasets: folders behind handles, JSON, tables. All are written aside and renamed.

Kedro wraps what they raise in its own `DatasetError`; the sentence for the user is that of its cause.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kedro.io import AbstractDataset

from fovea.core.errors import RunError
from fovea.core.files import atomic_file, explained

if TYPE_CHECKING:
    import pandas as pd


class Handle(Protocol):
    """What a `DirectoryDataset` carries: a folder that can be opened and put elsewhere."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> Any:
        """The handle of the folder at `path`."""

    def publish(self, target: Path) -> None:
        """Puts the folder's content in the place of `target`."""


class DirectoryDataset(AbstractDataset[Any, Any]):
    """A folder, passed between nodes as a handle.

    Saving publishes the handle's files at `filepath` and keeps the handle; loading gives the kept handle, so that a
    session goes on with its own folder even if another session publishes to the same place meanwhile. Without one, the
    folder at `filepath` is opened.

    Args:
        filepath: The folder.
        handle: The handle's class, as in ``fovea.shards.PreparedData``; imported when it is needed.
        metadata: For other tools.
    """

    # The kept handle lives in this process.
    _SINGLE_PROCESS = True

    def __init__(self, filepath: str, handle: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self._handle = handle
        self._kept: Handle | None = None
        self._is_waived = False
        self.metadata = metadata

    def waive(self) -> None:
        """Lets `load` give None where nothing was saved in this session: whoever loads it will not look at it."""
        self._is_waived = True

    def load(self) -> Any:
        """The handle that was saved in this session, else that of the folder.

        Raises:
            RunError: The folder is missing or not what the handle expects.
        """
        if self._kept is not None or self._is_waived:
            return self._kept
        return self._class().open(self._path)

    def save(self, data: Any) -> None:
        """Publishes the handle's files at `filepath`.

        Raises:
            RunError: The disk is full, read-only or not writable.
        """
        if not isinstance(data, self._class()):
            raise TypeError(f"expected {self._handle}, not {type(data).__name__}")
        data.publish(self._path)
        self._kept = data

    def _class(self) -> Any:
        module, _, name = self._handle.rpartition(".")
        return getattr(import_module(module), name)

    def _exists(self) -> bool:
        return self._kept is not None or self._path.is_dir()

    def _release(self) -> None:
        self._kept = None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path), "handle": self._handle}


class JsonDataset(AbstractDataset[Any, Any]):
    """Plain data as JSON: sorted keys, floats in their shortest exact form, a newline at the end.

    JSON knows no NaN and no infinity: they are written as null.

    Args:
        filepath: The file.
        metadata: For other tools.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> Any:
        """The content of the file.

        Raises:
            RunError: The file is missing or not JSON.
        """
        with _reading(self._path):
            return json.loads(self._path.read_text(encoding="utf-8"))

    def save(self, data: Any) -> None:
        """Writes the file.

        Raises:
            RunError: The disk is full, read-only or not writable.
        """
        text = json.dumps(_plain(data), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        with atomic_file(self._path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


class TableDataset(AbstractDataset[Any, Any]):
    """A pandas DataFrame without its index, as CSV or Parquet by the suffix; floats come back as they were.

    Args:
        filepath: The file, ending in ``.csv`` or ``.parquet``.
        metadata: For other tools.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        if self._path.suffix not in {".csv", ".parquet"}:
            raise ValueError(f"'{filepath}' must end in .csv or .parquet")
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """The content of the file.

        Raises:
            RunError: The file is missing or cannot be read.
        """
        import pandas as pd

        with _reading(self._path):
            if self._path.suffix == ".parquet":
                return pd.read_parquet(self._path, engine="pyarrow")
            # A class may be called "NA" or "None".
            return pd.read_csv(self._path, keep_default_na=False, na_values=[""])

    def save(self, data: pd.DataFrame) -> None:
        """Writes the file.

        Raises:
            RunError: The disk is full, read-only or not writable.
        """
        with atomic_file(self._path) as temporary:
            if self._path.suffix == ".parquet":
                data.to_parquet(temporary, engine="pyarrow", index=False, compression="zstd")
            else:
                data.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        with explained(f"reading {path}"):
            yield
    except FileNotFoundError as error:
        raise RunError(f"'{path}' is missing; run the stage that makes it") from error
    except (OSError, ValueError) as error:
        raise RunError(f"'{path}' cannot be read ({error}); remove it and run the stage that makes it") from error


def _plain(value: Any) -> Any:
    """The value with numpy's scalars and arrays as Python's, and NaN and infinity as None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
