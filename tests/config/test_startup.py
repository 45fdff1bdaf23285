"""What the wiring imports, and that Kedro's own commands work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from fovea.pipeline_registry import NAMES

HEAVY = ("torch", "torchvision", "pytorch_lightning", "mlflow", "albumentations", "timm", "pandas", "numpy", "hydra")
PROBE = """
import sys
sys.argv = ["kedro", *{arguments}]
from kedro.framework.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("IMPORTED", [name for name in {heavy} if name in sys.modules])
"""


def _imported(root: Path, *arguments: str) -> tuple[str, str]:
    code = PROBE.format(arguments=list(arguments), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    said, _, imported = done.stdout.partition("IMPORTED ")
    return said, imported.strip()


def test_registry_list_imports_nothing_heavy(workspace: Path) -> None:
    said, imported = _imported(workspace, "registry", "list")
    assert said.split() == [part for name in sorted(NAMES) for part in ("-", name)]
    assert imported == "[]"


def test_the_default_pipeline_is_the_first_four_stages(workspace: Path) -> None:
    said, imported = _imported(workspace, "registry", "describe", "__default__")
    nodes = [line.split()[1] for line in said.splitlines() if line.startswith("- ")]
    assert nodes == ["ingest", "prepare", "train", "evaluate"]
    assert imported == "[]"


def test_the_catalog_is_described(workspace: Path) -> None:
    command = [sys.executable, "-m", "kedro", "catalog", "describe-datasets", "--pipeline=train"]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=True)
    # Kedro lists the data sets of a type in no fixed order.
    described = yaml.safe_load(done.stdout)["train"]["datasets"]
    assert {kind: sorted(names) for kind, names in described.items()} == {
        "fovea.kedro_io.DirectoryDataset": ["model", "prepared"],
        "fovea.kedro_io.TableDataset": ["history"],
    }
    (workspace / "conf" / "local" / "overrides.yaml").write_text("seeed: 1\n")
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "Error: conf/local/overrides.yaml: unknown key 'seeed' = 1; did you mean 'seed'?\n"
    assert done.stdout == ""
