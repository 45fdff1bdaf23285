"""What is asked of the nodes, by the config and by what the user says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fovea.commands.clusters.ray import entrypoint
from fovea.commands.clusters.task import Resources, Task, resources
from fovea.config.compose import compose
from fovea.core.errors import UserError
from fovea.training.job import TrainJob

CONF = Path(__file__).resolve().parents[3] / "conf"


def job(*overrides: str) -> TrainJob:
    config = compose(CONF, overrides).config
    return TrainJob.parse({name: config[name] for name in TrainJob.model_fields})


def asked(*overrides: str, gpus: int | None = None, cpus: int | None = None) -> Resources:
    return resources(job(*overrides), gpus, cpus, None)


@pytest.mark.parametrize(
    ("overrides", "gpus", "wanted"),
    [
        (["trainer.accelerator=cpu", "trainer.devices=4"], None, (4, 0)),
        (["trainer.accelerator=cpu", "trainer.devices=auto"], None, (1, 0)),
        (["trainer.accelerator=cpu"], 0, (1, 0)),
        (["trainer.accelerator=gpu", "trainer.devices=2"], None, (2, 2)),
        (["trainer.accelerator=gpu", "trainer.devices=auto"], 8, (8, 8)),
        (["trainer.devices=auto"], 4, (4, 4)),
        (["trainer.devices=2"], 0, (2, 0)),
    ],
)
def test_processes_and_gpus_of_a_node(overrides: list[str], gpus: int | None, wanted: tuple[int, int]) -> None:
    found = asked(*overrides, gpus=gpus)
    assert (found.processes, found.gpus) == wanted


@pytest.mark.parametrize(
    ("overrides", "gpus", "sentence"),
    [
        ([], None, "trainer.accelerator=auto leaves open what the nodes have; say how many GPUs each has"),
        (["trainer=ddp"], None, r"trainer.devices=auto leaves open .*: --gpus-per-node=N \(0: none\)"),
        (["trainer=ddp", "trainer.accelerator=gpu"], None, "trainer.devices=auto leaves open .*=N$"),
        (["trainer.accelerator=cpu"], 2, "--gpus-per-node=2, but trainer.accelerator=cpu uses none"),
        (["trainer.accelerator=gpu"], 0, "--gpus-per-node=0, but trainer.accelerator=gpu needs one"),
        (["trainer.devices=2"], 4, "--gpus-per-node=4, but trainer.devices=2 trains on 2 of each node"),
        (["trainer.strategy=fsdp", "trainer.devices=2"], 0, "trainer.strategy=fsdp needs GPUs"),
        (
            ["trainer.accelerator=cpu", "trainer.launch.min_nodes=1"],
            None,
            "trainer.launch.min_nodes=1 .* trainer.launch.nodes=1 has no others",
        ),
        (
            ["trainer.accelerator=cpu", "loader.batch_size=64", "trainer.launch.nodes=3"],
            None,
            "loader.batch_size 64 cannot be shared evenly by 3 processes",
        ),
        (
            ["trainer.accelerator=cpu", "loader.batch_size=64", "trainer.launch={nodes: 4, min_nodes: 1}"],
            None,
            "loader.batch_size 64 cannot be shared evenly by 3 processes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(overrides: list[str], gpus: int | None, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        asked(*overrides, gpus=gpus)


@pytest.mark.parametrize(
    ("readers", "cpus", "wanted"), [("auto", None, 8), ("0", None, 2), ("5", None, 12), ("5", 3, 3)]
)
def test_a_core_for_each_process_that_trains_or_reads(readers: str, cpus: int | None, wanted: int) -> None:
    overrides = ["trainer.accelerator=cpu", "trainer.devices=2", f"loader.num_workers={readers}"]
    assert asked(*overrides, cpus=cpus).cpus == wanted


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "run on 1 node with 1 process, on CPUs"),
        ({"nodes": 2, "min_nodes": 2, "gpus": 1}, "run on 2 nodes with 1 process each, on GPUs"),
        ({"nodes": 2, "processes": 4}, "run on 2 nodes (at least 1) with 4 processes each, on CPUs"),
    ],
)
def test_the_summary_says_it_in_words(changes: dict[str, int], words: str) -> None:
    few = {"nodes": 1, "min_nodes": 1, "processes": 1, "gpus": 0, "cpus": 1}
    wanted = Resources(**few | changes, memory=None)
    assert Task("run", Path("/p"), Path("/p/work"), (), wanted).summary == words


def test_the_entrypoint_for_ray_counts_processes_of_all_nodes() -> None:
    wanted = Resources(nodes=4, min_nodes=2, processes=2, gpus=2, cpus=12, memory=None)
    lines = entrypoint(Task("run", Path("/a b"), Path("/a b/work"), ("seed=1",), wanted)).splitlines()
    assert lines[4] == "cd '/a b'"
    assert lines[5].endswith(
        "-m fovea.training.on_ray '/a b/work/resolved.yaml' --workers 4:8 --cpus-per-worker 6 --use-gpu"
    )
    assert lines[6].endswith("-m kedro run seed=1")
