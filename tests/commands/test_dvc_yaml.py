from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.pipeline import Pipeline, node

from fovea.core.errors import UserError
from fovea.dvc_stages import HEADER, dvc_yaml, read_catalog

CATALOG: dict[str, dict[str, Any]] = {
    "source": {"type": "fovea.kedro_io.DirectoryDataset", "filepath": "data/source", "handle": "fovea.datasets.Source"},
    "model": {"type": "json.JSONDataset", "filepath": "data/model"},
    "history": {
        "type": "csv",
        "filepath": "data/history.csv",
        "metadata": {"dvc": {"plot": {"x": "epoch", "y": "loss"}}},
    },
    "metrics": {"type": "json.JSONDataset", "filepath": "data/metrics.json", "metadata": {"dvc": {"metric": True}}},
}


def _nothing(*_: Any) -> None: ...


def _pipelines() -> dict[str, Pipeline]:
    fetch = Pipeline([node(_nothing, "params:data", "source", name="fetch")])
    train = Pipeline(
        [node(_nothing, ["source", "params:optimizer", "params:data"], ["model", "history"], name="train")]
    )
    judge = Pipeline([node(_nothing, ["source", "model"], "metrics", name="judge")])
    export = Pipeline([node(_nothing, "model", "onnx", name="export")])
    return {"judge": judge, "train": train, "export": export, "fetch": fetch, "__default__": fetch + train + judge}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("config/__init__.py", "config/params_stage.py", "kedro_io.py", "datasets/__init__.py"):
        path = tmp_path / "src" / "fovea" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def _derived(
    root: Path, pipelines: dict[str, Pipeline], catalog: dict[str, dict[str, Any]] = CATALOG
) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(dvc_yaml(root, pipelines, catalog))
    return content


def test_stages_are_the_parts_of_the_default_pipeline_in_its_order(root: Path) -> None:
    assert list(_derived(root, _pipelines())["stages"]) == ["params", "fetch", "train", "judge"]


def test_a_stage_has_the_files_code_and_parameters_of_its_pipeline(root: Path) -> None:
    stages = _derived(root, _pipelines())["stages"]
    assert stages["fetch"] == {
        "cmd": "exec scripts/in-env kedro run --pipelines=fetch",
        "deps": ["src/fovea/datasets", "src/fovea/kedro_io.py"],
        "params": ["data"],
        "outs": ["data/source"],
    }
    assert stages["train"] == {
        "cmd": "exec scripts/in-env kedro run --pipelines=train",
        "deps": ["data/source", "src/fovea/datasets", "src/fovea/kedro_io.py"],
        "params": ["data", "optimizer"],
        "outs": ["data/history.csv", "data/model"],
    }


def test_the_catalog_says_what_is_a_metric_and_what_a_plot(root: Path) -> None:
    content = _derived(root, _pipelines())
    assert content["stages"]["judge"]["metrics"] == ["data/metrics.json"]
    assert "outs" not in content["stages"]["judge"]
    assert content["plots"] == [{"data/history.csv": {"x": "epoch", "y": "loss"}}]


def test_the_composed_parameters_are_an_output_that_git_keeps(root: Path) -> None:
    params = _derived(root, _pipelines())["stages"]["params"]
    assert params["deps"] == ["conf", "src/fovea/config"]
    assert params["outs"] == [{"params.yaml": {"cache": False, "persist": True}}]


def test_an_output_without_a_file_is_refused(root: Path) -> None:
    catalog = {name: entry for name, entry in CATALOG.items() if name != "model"}
    with pytest.raises(UserError, match=r"'model' of the pipeline 'train' has no file in conf/base/catalog\.yml"):
        dvc_yaml(root, _pipelines(), catalog)


def test_all_parameters_at_once_are_refused(root: Path) -> None:
    whole = Pipeline([node(_nothing, "parameters", "source", name="fetch")])
    with pytest.raises(UserError, match="the pipeline 'fetch' takes 'parameters' as a whole"):
        dvc_yaml(root, {"fetch": whole, "__default__": whole}, CATALOG)


def test_the_committed_dvc_yaml_is_what_the_project_gives(project: Path) -> None:
    from fovea.pipeline_registry import register_pipelines

    text = (project / "dvc.yaml").read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    assert text == dvc_yaml(project, register_pipelines(), read_catalog(project / "conf"))


def test_the_committed_parameters_are_the_composed_defaults(project: Path, tmp_path: Path) -> None:
    from fovea.config.compose import compose
    from fovea.config.params_stage import dump

    conf = shutil.copytree(project / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("overrides.yaml"))
    expected = dump(compose(conf).config)
    assert (project / "params.yaml").read_text() == expected, "run: .venv/bin/python -m fovea.config.params_stage"


def test_no_path_of_the_catalog_is_versioned(project: Path) -> None:
    entries = read_catalog(project / "conf")
    assert [name for name, entry in entries.items() if entry.get("versioned")] == []


def test_the_environment_wrapper_prefers_the_projects_own_python(project: Path, tmp_path: Path) -> None:
    tool = tmp_path / ".venv" / "bin" / "python"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho from .venv\n")
    tool.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "DVC_ROOT": str(tmp_path)}
    command = [project / "scripts" / "in-env", "python", "-c", "print('from PATH')"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout == "from .venv\n"

    active = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "VIRTUAL_ENV": sys.prefix}
    found = subprocess.run(command, env=environment | active, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout == "from PATH\n"
