from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fovea.core.errors import RunError
from fovea.shards import columns, manifest
from fovea.shards.pack import pack
from fovea.shards.validation import check_manifest

Make = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path, data: Make, config: Make, photos: Make, encoded: Make) -> Any:
    """The manifest of 30 good pictures, a copy, and one that is empty."""
    folder = tmp_path / "packed"
    folder.mkdir()
    first = photos(30)
    more = encoded([first.images.read(0), b""], ids=["copy", "none"], labels=first.labels[[0, 0]])
    pack([first, more], folder, data(channels=3), config())
    return pq.read_table(folder / "manifest.parquet")


def changed(table: Any, **values: dict[int, Any]) -> Any:
    for name, cells in values.items():
        column = table[name].to_pylist()
        for row, value in cells.items():
            column[row] = value
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(column, table.schema.field(at).type))
    return table


def test_a_manifest_has_its_columns_and_holds(table: Any) -> None:
    assert table.schema.equals(columns.MANIFEST)
    assert table["status"].to_pylist() == ["kept"] * 30 + ["left_out", "quarantined"]
    check_manifest(table, "tiny", 3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"width": {3: 0, 4: -1}},
            r"in column 'width' the rule 'greater_than_or_equal_to\(1\)' .* '0003.jpg', '0004.jpg';",
        ),
        ({"label": {3: 7}, "class_name": {3: "x"}}, r"in column 'label' .* '0003.jpg';"),
        ({"label": {3: None}, "class_name": {3: None}}, "'whatever can be used has a label' .* '0003.jpg';"),
        ({"split": {3: "trian"}}, "in column 'split' .* '0003.jpg';"),
        ({"split": {3: None}}, "'whatever is kept has a split' does not hold for '0003.jpg';"),
        ({"status": {3: "quarantined"}}, "'whatever is kept has a split' does not|'whatever is not kept has a reason'"),
        ({"reason": {31: "no idea"}}, "in column 'reason' .* 'none';"),
        ({"reason": {31: None}}, "'whatever is not kept has a reason' does not hold for 'none';"),
        ({"id": {3: "0004.jpg"}}, "in column 'id' the rule 'field_uniqueness'"),
        ({"id": {3: None}}, "in column 'id' the rule 'not_nullable'"),
        ({"sha256": {3: "abc"}}, "in column 'sha256' .* '0003.jpg';"),
        ({"sha256": {3: None}}, "'whatever can be used has a size' .* '0003.jpg';"),
        ({"turn": {3: 9}}, "in column 'turn' .* '0003.jpg';"),
        ({"brightness": {3: 256.0}}, "in column 'brightness' .* '0003.jpg';"),
        ({"row": {3: None}}, "'whatever can be used lies in a shard' .* '0003.jpg';"),
        ({"duplicate_of": {30: "copy"}}, "'no picture is a copy of itself' .* 'copy';"),
        ({"similarity": {30: None}}, "'a copy is exact or near' .* 'copy';"),
        ({"bytes": dict.fromkeys(range(8), -1)}, "'0000.jpg', '0001.jpg', '0002.jpg' and 5 more;"),
    ],
)
def test_a_breach_names_column_rule_and_rows(table: Any, values: dict[str, dict[int, Any]], words: str) -> None:
    with pytest.raises(RunError, match=words) as caught:
        check_manifest(changed(table, **values), "tiny", 3)
    assert str(caught.value).startswith("the manifest of data 'tiny' is not as it must be: in ")


def test_a_breach_leaves_no_folder(
    tmp_path: Path, data: Make, config: Make, photos: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = manifest._part
    monkeypatch.setattr(manifest, "_part", lambda *given: changed(part(*given), turn={2: 0}))
    folder = tmp_path / "packed"
    folder.mkdir()
    with pytest.raises(RunError, match=r"in column 'turn' .* '0002.jpg'"):
        pack([photos(30)], folder, data(channels=3), config())


def test_a_manifest_of_several_parts_is_one(
    tmp_path: Path, data: Make, config: Make, photos: Make, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_ROWS", 7)
    folder = tmp_path / "parts"
    folder.mkdir()
    samples = photos(30)
    pack([samples], folder, data(channels=3), config())
    assert pq.read_table(folder / "manifest.parquet").equals(table.slice(0, 30))
