from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fovea import shards
from fovea.config.schema import DataConfig, PrepareConfig
from fovea.datasets.registry import reader
from fovea.notebook.patterns import PATTERNS
from fovea.notebook.untidy import FLAWS, write_untidy


@pytest.fixture(scope="module")
def manifest(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `prepare` finds in the folder, by file."""
    from fovea.commands.composed import composed

    root = tmp_path_factory.mktemp("untidy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOVEA_ROOT", str(project))
        words = ["data=image_folder", "data.name=untidy", f"data.folder={write_untidy(root / 'folder')}"]
        config = composed([*words, "prepare.executor=serial"], None)
        (root / "conf").mkdir()
        (root / "pyproject.toml").touch()
        patch.setenv("FOVEA_ROOT", str(root))
        data = DataConfig.model_validate(config["data"])
        source = reader(data.source).ingest(data)
        prepared, _ = shards.prepare(source, data, PrepareConfig.model_validate(config["prepare"]))
        return prepared.manifest().set_index("id")


@pytest.mark.parametrize(
    ("file", "status", "reason"),
    [
        ("dots/cut-short.jpg", "quarantined", "truncated"),
        ("grid/empty.jpg", "quarantined", "empty"),
        ("waves/notes.jpg", "quarantined", "not_an_image"),
        ("stripes/copy of 003.jpg", "left_out", "duplicate"),
        ("zigzag/from waves.jpg", "left_out", "label_conflict"),
    ],
)
def test_prepare_finds_each_flaw(manifest: Any, file: str, status: str, reason: str) -> None:
    assert tuple(manifest.loc[file, ["status", "reason"]]) == (status, reason)


def test_prepare_finds_the_near_duplicate_and_the_wrong_name(manifest: Any) -> None:
    near = manifest[manifest["similarity"] == "near"]
    assert set(near.index) | set(near["duplicate_of"]) == {"checks/005.jpg", "checks/brighter.jpg"}
    assert tuple(manifest.loc["bricks/really-a-png.jpg", ["status", "named_as", "format"]]) == ("kept", "JPEG", "PNG")


def test_every_flaw_is_there_and_one_class_is_scarce(manifest: Any) -> None:
    assert set(FLAWS) <= set(manifest.index)
    counts = manifest[manifest["status"] == "kept"].groupby("class_name").size()
    assert set(counts.index) == set(PATTERNS)
    assert counts["rings"] == 12
    assert counts.drop("rings").min() >= 28
