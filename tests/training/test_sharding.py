"""Networks that are shared out between processes; what needs GPUs for it is listed in docs/unverified.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fovea.core.errors import UserError
from fovea.training.devices import check_devices
from fovea.training.sharding import check_sharding, delivered, saved


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"callbacks": {"averaging": {"kind": "ema"}}}, "callbacks.averaging.kind"),
        ({"trainer": {"gradient_clip_norm": 1.0}}, "trainer.gradient_clip_norm"),
        ({"trainer": {"gradient_compression": "bf16"}}, "trainer.gradient_compression"),
        ({"finetune": {"mode": "head"}}, "finetune.cache_features"),
    ],
)
def test_what_needs_the_whole_network_is_refused(
    changes: dict[str, Any], key: str, make_job: Callable[..., Any]
) -> None:
    check_sharding(make_job())
    with pytest.raises(UserError, match=key):
        check_sharding(make_job(**changes))


def test_processors_share_no_network_out(make_job: Callable[..., Any]) -> None:
    job = make_job(trainer={"strategy": "fsdp", "devices": 2})
    with pytest.raises(UserError, match="strategy=fsdp needs GPUs"):
        check_devices(job, 2)
    check_devices(job, 1)


def test_tensors_are_found_by_their_names_in_the_network(tmp_path: Path) -> None:
    tensors = {"net.0.weight": torch.ones(2), "other": torch.zeros(1)}
    torch.save({"state_dict": tensors}, tmp_path / "c.ckpt")
    assert list(saved(tmp_path / "c.ckpt")) == ["0.weight"]
    module: Any = SimpleNamespace(delivered=lambda: {"a": 1})
    trainer: Any = SimpleNamespace(strategy=object())
    assert delivered(trainer, module) == {"a": 1}
