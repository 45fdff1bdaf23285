"""The program of torch.export: any batch, the original's answers, and nothing of this machine."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fovea.export.program import ProgramRunner, write_program
from fovea.serving.scaling import Scaling

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8)).astype(np.uint8)


def test_the_program_answers_as_the_network_for_any_batch(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    write_program(network, path, example=torch.zeros(2, 3, 8, 8, dtype=torch.uint8), facts={"classes": '["Hündin"]'})
    with torch.inference_mode():
        expected = network(torch.from_numpy(PIXELS)).numpy()
    for count in (1, 5):
        np.testing.assert_allclose(ProgramRunner(path)(PIXELS[:count]), expected[:count], atol=1e-6)
    found = {"classes": ""}
    torch.export.load(path, extra_files=found)
    assert found["classes"] == '["Hündin"]'
    with zipfile.ZipFile(path) as archive:
        assert not [
            name for name in archive.namelist() if str(Path(__file__).parents[2]).encode() in archive.read(name)
        ]


def test_without_its_normalisation_the_program_takes_floats(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    write_program(network.net, path, example=torch.zeros(2, 3, 8, 8), facts={})
    with torch.inference_mode():
        expected = network(torch.from_numpy(PIXELS)).numpy()
    np.testing.assert_allclose(ProgramRunner(path, Scaling.of(network))(PIXELS), expected, atol=1e-5)
