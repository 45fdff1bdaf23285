from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fovea.core.errors import UserError
from fovea.notebook import network


@pytest.fixture(autouse=True)
def _inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "notebooks")


def test_new_weights_follow_from_the_seed_and_leave_torch_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (network([f"seed={seed}"]) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    kernels = [next(one.net.parameters()) for one in (first, again, other)]
    assert torch.equal(kernels[0], kernels[1])
    assert not torch.equal(kernels[0], kernels[2])
    assert not first.training
    assert first(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape == (2, 10)


def test_published_weights_are_those_of_the_package() -> None:
    words = ["data=cats_vs_dogs", "data.image_size=224", "model=efficientnet_lite0"]
    new, published = network(words), network([*words, "model.weights=imagenet", "finetune=head"])
    assert published.net.conv_stem.weight.shape == (32, 3, 3, 3)
    assert not torch.equal(new.net.conv_stem.weight, published.net.conv_stem.weight)


def test_a_mistake_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'lenet5'"):
        network(["model=lenet6"])
