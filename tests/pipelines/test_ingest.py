from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fovea.core.errors import UserError
from fovea.pipelines.ingest.nodes import ingest
from fovea.pipelines.ingest.pipeline import create_pipeline


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an empty project, found through FOVEA_ROOT."""
    root = tmp_path / "project"
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    monkeypatch.setenv("FOVEA_ROOT", str(root))
    return root


def test_the_pipeline_has_one_node_of_the_stages_name() -> None:
    (only,) = create_pipeline().nodes
    assert (only.name, only.tags, only.inputs, only.outputs) == ("ingest", {"ingest"}, ["params:data"], ["source"])


def test_one_line_says_what_happened(root: Path, conf: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    def said() -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="fovea"):
            assert ingest(conf["data"]).name == "digits"
        return [record.getMessage() for record in caplog.records if record.name == "fovea"]

    assert said() == ["ingest: digits, 1 file, 1.1 MB, fetched"]
    assert said() == ["ingest: digits, 1 file, 1.1 MB, in place"]


def test_a_wrong_section_is_refused_before_anything_is_written(root: Path, conf: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"unknown data.source 'digit'; did you mean 'digits'"):
        ingest({**conf["data"], "source": "digit"})
    with pytest.raises(UserError, match="clases"):
        ingest({**conf["data"], "clases": []})
    assert not (root / "data").exists()


def test_the_stages_import_nothing_heavy(root: Path, project: Path) -> None:
    code = f"""
import sys, yaml
from fovea.pipelines.ingest.pipeline import create_pipeline as ingest
from fovea.pipelines.prepare.pipeline import create_pipeline as prepare
light = sorted({{"pydantic", "numpy", "pyarrow", "pandas", "requests"}} & set(sys.modules))
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from fovea.kedro_io import DirectoryDataset
conf = {str(project / "conf")!r}
values = yaml.safe_load(open(conf + "/config.yaml"))
catalog = DataCatalog({{
    "params:data": MemoryDataset(yaml.safe_load(open(conf + "/data/digits.yaml"))),
    "params:prepare": MemoryDataset(values["prepare"]),
    "source": DirectoryDataset("{root}/data/02_intermediate/source", "fovea.datasets.SourceFiles"),
    "prepared": DirectoryDataset("{root}/data/05_model_input/prepared", "fovea.shards.PreparedData"),
}})
SequentialRunner().run(ingest() + prepare(), catalog)
heavy = {{"torch", "mlflow", "albumentations", "timm", "PIL", "sklearn", "matplotlib", "mlxtend", "requests"}}
print(light, sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] []"
    assert (root / "data/02_intermediate/source/source.json").is_file()
    assert (root / "data/05_model_input/prepared/prepared.json").is_file()
