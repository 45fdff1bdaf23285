"""`kedro submit` on the embedded digits, in a project of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from fovea.training.worker import read_job

Kedro = Callable[..., Result]


@pytest.fixture(autouse=True)
def _root(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEA_ROOT", str(own_project))


def test_every_kind_of_cluster_gets_the_same_resolved_job(kedro: Kedro, own_project: Path) -> None:
    overrides = ["model=lenet5", "trainer.accelerator=cpu", "trainer.devices=2", "loader.batch_size=32"]
    result = kedro("submit", "slurm", "--time", "4:00:00", "--memory", "8", *overrides)
    assert result.exit_code == 0, result.output
    (work,) = (own_project / "data/06_models/_work").iterdir()
    folder = own_project / "submit" / work.name
    *_, resolved, path, command = result.stdout.splitlines()
    assert resolved == f"The resolved job is in {work}/resolved.yaml"
    assert path == f"The file above is in {folder}/train.sbatch; hand it in:"
    assert command == f"sbatch {folder}/train.sbatch"
    text = (folder / "train.sbatch").read_text()
    assert result.stdout.startswith(text)
    assert "#SBATCH --time=4:00:00" in text
    assert text.splitlines()[1].startswith(f"# Trains {work.name} on 1 node with 2 processes, on CPUs")
    assert subprocess.run(["bash", "-n", folder / "train.sbatch"], check=False).returncode == 0
    assert (own_project / "logs").is_dir()  # SLURM would not make it

    order = read_job(work / "resolved.yaml")
    assert (order.job.model.name, order.job.trainer.devices, order.job.loader.batch_size) == ("lenet5", 2, 32)
    assert order.job.data.classes == [str(digit) for digit in range(10)]
    assert Path(order.address["prepared"]).parent == own_project / "data/03_primary"
    assert order.tracking is not None
    assert order.tracking["facts"]["command"] == f"kedro run {' '.join(overrides)}"
    assert order.tracking["facts"]["overrides"] == overrides

    shared = ["--image", "me/fovea", "--claim", "projects", "--output", "elsewhere"]
    result = kedro("submit", "kubernetes", *shared, *overrides)
    assert result.exit_code == 0, result.output
    manifest = own_project / "elsewhere/pytorchjob.yaml"
    assert result.stdout.splitlines()[-1] == f"kubectl apply --filename {manifest}"
    (pod,) = yaml.safe_load(manifest.read_text())["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"][
        "containers"
    ]
    assert str(work / "resolved.yaml") in pod["command"][-1]

    result = kedro("submit", "ray", *overrides)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"ray job submit -- bash {folder}/ray.sh"
    assert f"on_ray {work}/resolved.yaml --workers 2 " in (folder / "ray.sh").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["ray.sh", "train.sbatch"]  # the first one was left alone
    assert not (own_project / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["slrum"], "Error: unknown kind of cluster 'slrum'; did you mean 'slurm'?"),
        (["k8s"], "Error: unknown kind of cluster 'k8s'; known: kubernetes, ray, slurm"),
        (["slurm"], "Error: trainer.accelerator=auto leaves open what the nodes have"),
        (["slurm", "--time", "4h", "trainer.accelerator=cpu"], "Error: --time=4h is no time limit of SLURM"),
        (["slurm", "--gpus-per-node", "0", "modell=lenet5"], "Error: unknown group or key 'modell'"),
        (["ray", "--gpus-per-node", "-1"], "Invalid value for '--gpus-per-node'"),
        (["kubernetes", "--claim", "c", "trainer.accelerator=cpu"], "Missing option '--image'"),
        (
            ["kubernetes", "--image", "i", "--claim", "c", "--mount", "/usr", "trainer.accelerator=cpu"],
            "Error: --mount=/usr does not hold the project",
        ),
        (["slurm", "trainer.accelerator=cpu", "--output", "pyproject.toml"], "Invalid value for '--output'"),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_leave_nothing(
    kedro: Kedro, own_project: Path, words: list[str], sentence: str
) -> None:
    result = kedro("submit", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (own_project / "data").exists()
    assert not (own_project / "submit").exists()


def test_the_help_keeps_the_lines_of_its_examples(kedro: Kedro) -> None:
    lines = kedro("submit", "--help").stdout.splitlines()
    assert "    kedro submit ray --gpus-per-node 4 trainer=ddp trainer.launch.nodes=2" in lines
