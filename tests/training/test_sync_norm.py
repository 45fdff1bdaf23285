"""Batch norms over several ranks against one process that has the whole batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fovea.core.errors import UserError
from fovea.training.sync_norm import synchronised

COUNT = 11


def timms() -> nn.Module:
    from timm.layers.norm_act import BatchNormAct2d

    return nn.Sequential(nn.Conv2d(2, 4, 3), BatchNormAct2d(4, act_layer=nn.SiLU), nn.Flatten(), nn.Linear(144, 3))


NETS: dict[str, Callable[[], nn.Module]] = {
    "pictures": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2), nn.Flatten()
    ),
    "features": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.BatchNorm1d(6, momentum=None)),
    "without weights": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten()),
    "without statistics": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten()
    ),
    "norm and activation of timm": timms,
    "channels last": lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).to(
        memory_format=torch.channels_last
    ),
}


def inputs(dtype: torch.dtype) -> Tensor:
    numbers = torch.Generator().manual_seed(1)
    return (3 + 2 * torch.randn(COUNT, 2, 8, 8, generator=numbers, dtype=torch.float64)).to(dtype)


def part(rank: int, world_size: int) -> slice:
    return slice(COUNT * rank // world_size, COUNT * (rank + 1) // world_size)


def made(name: str, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    net = NETS[name]().to(dtype)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    return net


def two_steps(name: str, rank: int, world_size: int, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """Outputs, gradients of all parameters and of the inputs, and the state after two steps on the same batch."""
    net = made(name, dtype)
    wrapped: nn.Module = net
    if world_size > 1:
        wrapped = DistributedDataParallel(synchronised(net), broadcast_buffers=False)
    rows = part(rank, world_size)
    pictures = inputs(dtype)[rows].requires_grad_()
    if name == "channels last":
        pictures = pictures.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        pictures.grad = None
        output = wrapped(pictures)
        # Rows count differently, so that no gradient vanishes by symmetry.
        counts = torch.linspace(1, 2, COUNT, dtype=dtype)[rows, None]
        loss = (output.square() * counts).sum() / COUNT
        (loss * world_size).backward()
        optimizer.step()
    assert pictures.grad is not None
    net.eval()
    return {
        "output": output.detach().numpy(),
        "of the inputs": pictures.grad.numpy() / world_size,  # DDP averages those of parameters alone
        "gradients": [parameter.grad.numpy() for parameter in net.parameters() if parameter.grad is not None],
        "state": {key: tensor.numpy() for key, tensor in net.state_dict().items()},
        "evaluated": net(inputs(dtype)).detach().numpy(),
    }


def frozen(rank: int, world_size: int) -> tuple[int, bool, bool]:
    """Exchanges of a frozen norm, whether its statistics stay, and whether those of a trained one do."""
    net = synchronised(made("pictures", torch.float32))
    first, second = net[1], net[4]
    first.eval()
    calls: list[int] = []
    real = distributed.all_gather

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return real(*arguments)

    distributed.all_gather = counted
    before = [copy.deepcopy(norm.running_mean) for norm in (first, second)]
    net(inputs(torch.float32)[part(rank, world_size)])
    distributed.all_gather = real
    return (
        len(calls),
        *(torch.equal(old, norm.running_mean) for old, norm in zip(before, (first, second), strict=True)),
    )


def bf16(rank: int, world_size: int) -> tuple[str, float]:
    """Under autocast: the type of the output, and how far it is from that of 32 bits."""
    net = synchronised(made("pictures", torch.float32))
    pictures = inputs(torch.float32)[part(rank, world_size)]
    exact = net(pictures)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(pictures)
    rough.float().sum().backward()
    return str(rough.dtype), float((rough.float() - exact).abs().max() / exact.abs().max())


def everything(rank: int, world_size: int) -> dict[str, Any]:
    result: dict[str, Any] = {name: two_steps(name, rank, world_size) for name in NETS}
    result["32"] = two_steps("pictures", rank, world_size, torch.float32)
    return {**result, "frozen": frozen(rank, world_size), "bf16": bf16(rank, world_size)}


def check_same(ranks: list[dict[str, Any]], alone: dict[str, Any], rtol: float, atol: float) -> None:
    for key in ("output", "of the inputs"):
        np.testing.assert_allclose(np.concatenate([rank[key] for rank in ranks]), alone[key], rtol, atol, err_msg=key)
    for rank in ranks:
        for one, other in zip(rank["gradients"], alone["gradients"], strict=True):
            np.testing.assert_allclose(one, other, rtol, atol)
        assert rank["state"].keys() == alone["state"].keys()
        for name, tensor in rank["state"].items():
            np.testing.assert_allclose(tensor, alone["state"][name], rtol, atol, err_msg=name)
        np.testing.assert_allclose(rank["evaluated"], alone["evaluated"], rtol, atol)


@pytest.mark.ddp
@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_normalise_as_one_process_with_the_whole_batch(world_size: int, ddp: Callable[..., list[Any]]) -> None:
    ranks = ddp(world_size, everything)
    for name in NETS:
        check_same([rank[name] for rank in ranks], two_steps(name, 0, 1), rtol=1e-9, atol=1e-11)
    check_same([rank["32"] for rank in ranks], two_steps("pictures", 0, 1, torch.float32), rtol=1e-3, atol=1e-4)
    for rank in ranks:
        exchanges, first_stays, second_stays = rank["frozen"]
        assert (exchanges, first_stays, second_stays) == (1, True, False)
        dtype, distance = rank["bf16"]
        assert dtype == "torch.bfloat16"
        assert distance < 0.02


def test_names_types_and_tensors_stay(made_norms: nn.Module) -> None:
    before = dict(made_norms.state_dict(keep_vars=True))
    parameters = list(made_norms.parameters())
    assert synchronised(made_norms) is made_norms
    assert synchronised(made_norms)[1].__class__.__name__ == "SynchronisedBatchNorm2d"
    assert isinstance(made_norms[1], nn.BatchNorm2d)
    assert all(tensor is before[name] for name, tensor in made_norms.state_dict(keep_vars=True).items())
    assert all(one is other for one, other in zip(made_norms.parameters(), parameters, strict=True))


def test_a_process_alone_normalises_as_ever(made_norms: nn.Module) -> None:
    twin = synchronised(copy.deepcopy(made_norms))
    pictures = inputs(torch.float64)
    assert torch.equal(twin(pictures), made_norms(pictures))
    assert torch.equal(twin.eval()(pictures), made_norms.eval()(pictures))
    assert all(torch.equal(tensor, twin.state_dict()[name]) for name, tensor in made_norms.state_dict().items())


def test_a_norm_of_unknown_ways_is_refused() -> None:
    class Odd(nn.BatchNorm2d):
        pass

    with pytest.raises(UserError, match=r"trainer\.sync_batch_norm cannot synchronise '1' \(Odd\) of this network"):
        synchronised(nn.Sequential(nn.Conv2d(1, 2, 3), Odd(2)))


@pytest.fixture
def made_norms() -> nn.Module:
    return made("pictures", torch.float64)
