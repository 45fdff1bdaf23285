"""`kedro describe-model`: the layer table of the configured network, and kernels compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import nn

    from fovea.config.schema import DataConfig, ModelConfig
    from fovea.models.layer_rows import LayerRow

_ASSUMED = 1000  # classes, where the data's are not known


@click.command("describe-model")
@click.argument("overrides", nargs=-1)
@click.option("--csv", "table", type=click.Path(path_type=Path), default=None, help="Write the table into this file.")
@click.option(
    "--classes", type=click.IntRange(min=2), default=None, help=f"Classes; else data.classes, or {_ASSUMED:,} if null."
)
@click.option("--compare", nargs=2, default=None, metavar="KERNELS KERNELS", help="Two stacks, as in: 5 3,3")
@click.option("--channels", type=click.IntRange(min=1), default=64, show_default=True, help="Of the compared stacks.")
@click.option("--side", type=click.IntRange(min=1), default=56, show_default=True, help="Of the maps they work on.")
@click.option(
    "--env", "-e", default=None, help="Kedro's environment; its overrides.yaml takes the place of conf/local's."
)
def command(
    overrides: tuple[str, ...],
    table: Path | None,
    classes: int | None,
    compare: tuple[str, str] | None,
    channels: int,
    side: int,
    env: str | None,
) -> None:
    r"""Print each layer of the network that `kedro run` with the same OVERRIDES would train.

    Output size, parameters, multiply-adds, receptive field and stride follow by arithmetic; nothing is trained or
    computed, and no data are needed. With --compare, two stacks of convolutions are set side by side instead.

    \b
      kedro describe-model model=lenet5
      kedro describe-model data=imagenet model=resnet50 --csv resnet50.csv
      kedro describe-model --compare 5 3,3 --channels 64
    """
    from fovea.core.errors import UserError

    if compare is not None:
        if overrides or table is not None:
            raise UserError("--compare stands alone: drop the overrides and --csv, or --compare")
        click.echo("\n".join(_comparison(compare, channels, side)))
        return
    from fovea.commands.composed import composed
    from fovea.config.schema import DataConfig, ModelConfig, parse
    from fovea.core.files import atomic_file
    from fovea.models.layer_rows import to_csv, to_text
    from fovea.models.layers import layer_table

    config = composed(overrides, env)
    data, model = parse(DataConfig, config["data"], "data"), parse(ModelConfig, config["model"], "model")
    count = classes or (_ASSUMED if data.classes is None else data.num_classes)
    net = _network(model, data, count)
    rows = layer_table(net, data.channels, data.image_size)
    assumed = "" if classes or data.classes is not None else " (assumed: data.classes is null; say --classes)"
    header = _header(net, rows, model, data) | {"classes": f"{count:,}{assumed}"}
    width = max(map(len, header)) + 2
    click.echo("\n".join(f"{key:{width}}{value}" for key, value in header.items()) + f"\n\n{to_text(rows)}")
    if table is not None:
        with atomic_file(table) as temporary:
            temporary.write_text(to_csv(rows), encoding="utf-8")
        click.echo(f"\nThe table is in {table}")


def _network(model: ModelConfig, data: DataConfig, classes: int) -> nn.Module:
    """The configured network, without memory for its weights where its library can do that."""
    import torch

    from fovea.core.errors import FoveaError
    from fovea.models.registry import create

    options = {"channels": data.channels, "num_classes": classes, "image_size": data.image_size}
    try:
        with torch.device("meta"):
            return create(model, **options)
    except FoveaError:
        raise
    except Exception:  # some compute with tensors while they are built
        return create(model, **options)


def _header(net: nn.Module, rows: list[LayerRow], model: ModelConfig, data: DataConfig) -> dict[str, str]:
    from fovea.models.layer_rows import final_field, totals

    size = sum(tensor.numel() * tensor.element_size() for tensor in [*net.parameters(), *net.buffers()])
    parameters, multiply_adds = totals(rows)
    library = "" if model.library == "fovea" else f" of {model.library}"
    return {
        "network": f"{model.name}{library}",
        "input": f"{data.channels}x{data.image_size}x{data.image_size} ({data.name})",
        "classes": "",
        "parameters": f"{parameters:,}",
        "multiply-adds": f"{multiply_adds:,}",
        "weights": f"{size / 1e6:,.1f} MB",
        "receptive field": f"{final_field(rows)} pixels",
    }


def _comparison(stacks: tuple[str, str], channels: int, side: int) -> Iterator[str]:
    """Two stacks of convolutions in a table, and what the second costs of the first."""
    import torch
    from torch import nn

    from fovea.models.layer_rows import final_field, totals
    from fovea.models.layers import layer_table

    kernels = [_kernels(stack) for stack in stacks]
    yield f"Convolutions of {channels} to {channels} channels on maps of {side}x{side}, padded to keep their size"
    yield ""
    yield f"{'kernels':16}{'field':>8}{'parameters':>16}{'multiply-adds':>20}"
    found = []
    for stack in kernels:
        with torch.device("meta"):
            layers = [nn.Conv2d(channels, channels, kernel, padding="same") for kernel in stack]
        rows = layer_table(nn.Sequential(*layers), channels, side)
        found.append(totals(rows))
        words = ", ".join(f"{height}x{width}" for height, width in stack)
        yield f"{words:16}{final_field(rows):>8}{found[-1][0]:>16,}{found[-1][1]:>20,}"
    parameters, multiply_adds = (100 * second / first for first, second in zip(*found, strict=True))
    yield ""
    yield f"The second has {parameters:.0f} % of the parameters and {multiply_adds:.0f} % of the multiply-adds."


def _kernels(stack: str) -> list[tuple[int, int]]:
    from fovea.core.errors import UserError

    found = []
    for word in stack.split(","):
        sides = word.strip().split("x")
        if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) % 2 for side in sides):
            raise UserError(f"--compare '{stack}' is no stack of kernels; write odd sides, as in 3,3 or 1x7,7x1")
        found.append((int(sides[0]), int(sides[-1])))
    return found
