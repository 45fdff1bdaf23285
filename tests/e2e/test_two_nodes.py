"""A training on two machines: two network namespaces with addresses of their own, joined by a cable."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.ddp]

SETTINGS = """\
trainer:
  accelerator: cpu
  max_epochs: 4
  limit_batches: 40
  threads: 1
  launch:
    nodes: 2
    min_nodes: 1
callbacks:
  checkpoint:
    every_n_steps: 5
evaluate:
  gallery: 0
  maps: 0
"""
LIMIT = 250


class Node:
    """A machine.

    Args:
        name: Of its network namespace.
        address: Its own.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.process: subprocess.Popen[str] | None = None
        self.log = Path()

    def launch(self, place: Any, resolved: Path, first: str) -> None:
        """Starts its launcher."""
        self.log = place.root.parent / f"{self.name}.log"
        words = f"--processes 1 --nodes 1:2 --rendezvous {first}:29417 --job two --address {self.address}"
        command = ["ip", "netns", "exec", self.name, "python", "-m", "fovea.training.launcher", str(resolved)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *words.split()],
                cwd=place.root,
                env=place.environment | {"GLOO_SOCKET_IFNAME": self.name},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )

    def wait_for(self, words: str) -> None:
        """Waits until it has said something."""
        end = time.monotonic() + LIMIT
        while words not in self.said:
            if self.process is None or self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{self.name} never said '{words}':\n{self.said}")
            time.sleep(0.05)

    @property
    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command `ip`")
    mark = os.getpid() % 10_000
    pair = [Node(f"fa{mark}", "10.217.9.1"), Node(f"fb{mark}", "10.217.9.2")]
    cables = [["link", "add", pair[0].name, "type", "veth", "peer", "name", pair[1].name]]
    for node in pair:
        cables += [["netns", "add", node.name], ["link", "set", node.name, "netns", node.name]]
        inside = ["netns", "exec", node.name, "ip"]
        cables += [[*inside, "addr", "add", f"{node.address}/24", "dev", node.name]]
        cables += [[*inside, "link", "set", one, "up"] for one in (node.name, "lo")]
    try:
        for words in cables:
            done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"this system allows no network namespaces: {done.stderr.strip()}")
        yield pair
    finally:
        for node in pair:
            if node.process is not None and node.process.poll() is None:
                os.killpg(node.process.pid, signal.SIGKILL)
                node.process.wait()
            subprocess.run(["ip", "netns", "del", node.name], capture_output=True, check=False)


def test_a_node_leaves_and_comes_back(make_project: Callable[..., Any], nodes: list[Node]) -> None:
    place = make_project("nodes", SETTINGS)
    place.run("kedro", "run", "--pipelines=ingest,prepare")
    place.run("kedro", "submit", "slurm", "trainer.devices=1")
    (resolved,) = (place.root / "data/06_models/_work").glob("*/resolved.yaml")
    first, second = nodes
    first.launch(place, resolved, first.address)
    second.launch(place, resolved, first.address)
    first.wait_for("in 2 processes")
    first.wait_for("epoch 1/4")
    assert second.process is not None
    os.killpg(second.process.pid, signal.SIGKILL)  # the machine is gone, without a word
    second.process.wait()
    first.wait_for("epoch 2/4")
    assert "start anew from the last checkpoint" in first.said
    second.launch(place, resolved, first.address)
    assert first.process is not None
    assert first.process.wait(LIMIT) == 0, first.said
    assert second.process.wait(LIMIT) == 0, second.said
    assert first.said.count("going on from") >= 1
    done = place.run("kedro", "run", "trainer.devices=1")
    assert "trained before" in done.stderr
    (run,) = place.runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/acc"] > 0.8
