from __future__ import annotations

from pathlib import Path

import pytest

from fovea.imports import code_used


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "",
        "core/__init__.py": "",
        "core/errors.py": "import json\n",
        "config/__init__.py": "from fovea.core import errors\n",
        "shards/__init__.py": "def pack():\n    from fovea.config import parse\n",
        "models/__init__.py": "",
        "models/registry.py": "from . import layers\nfrom .layers import table\n",
        "models/layers.py": "from ..config import parse\n",
        "tracking.py": "import fovea.core.errors\n",
        "pipelines/__init__.py": "",
        "pipelines/train/__init__.py": "",
        "pipelines/train/nodes.py": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from fovea.shards import PreparedData\n"
            "else:\n    from fovea import tracking\n"
        ),
        "pipelines/train/pipeline.py": "from fovea.pipelines.train.nodes import train\n",
        "pipelines/prepare/nodes.py": "def prepare():\n    from fovea.shards import pack\n",
    }
    for name, text in files.items():
        path = tmp_path / "fovea" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "fovea"


@pytest.mark.parametrize(
    ("module", "used"),
    [
        ("fovea.core.errors", ["core"]),
        ("fovea.config", ["config", "core"]),
        ("fovea.tracking", ["core", "tracking.py"]),
        ("fovea.models.registry", ["config", "core", "models"]),
        ("fovea.pipelines.prepare.nodes", ["config", "core", "pipelines/prepare", "shards"]),
        ("fovea.pipelines.train.nodes", ["core", "pipelines/train", "tracking.py"]),
        ("fovea.shards.PreparedData", ["config", "core", "shards"]),
    ],
)
def test_code_is_followed_through_functions_and_relative_imports(package: Path, module: str, used: list[str]) -> None:
    assert [path.relative_to(package).as_posix() for path in code_used(package, [module])] == used


@pytest.mark.parametrize("module", ["json", "fovea", "fovea.absent", "foveal.core"])
def test_other_names_count_for_nothing(package: Path, module: str) -> None:
    assert code_used(package, [module]) == []


def test_code_of_several_modules_is_listed_once_and_sorted(package: Path) -> None:
    used = code_used(package, ["fovea.tracking", "fovea.config", "fovea.core"])
    assert used == [package / "config", package / "core", package / "tracking.py"]
