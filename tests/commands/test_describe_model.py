"""`kedro describe-model`: the table, its file, and what is said where something is not known or wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Kedro = Callable[..., Result]


def test_header_table_and_totals(kedro: Kedro) -> None:
    result = kedro("describe-model")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:7] == [
        "network lenet5",
        "input 1x28x28 (digits)",
        "classes 10",
        "parameters 61,706",
        "multiply-adds 416,520",
        "weights 0.2 MB",
        "receptive field 32 pixels",
    ]
    assert lines[9] == "features.0 Conv2d 6x28x28 156 117,600 5 1"
    assert lines[-1] == "total 61,706 416,520"


def test_a_large_network_of_unknown_classes_and_its_csv(kedro: Kedro, own_project: Path) -> None:
    result = kedro("describe-model", "data=imagenet", "model=resnet50", "--csv", "tables/resnet50.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "1,000 (assumed: data.classes is null; say --classes)" in result.stdout
    assert "25,557,032" in result.stdout
    assert "102.4 MB" in result.stdout
    lines = (own_project / "tables" / "resnet50.csv").read_text().splitlines()
    assert lines[0].startswith("layer,type,output,parameters,multiply_adds,")
    assert lines[1] == "conv1,Conv2d,64x112x112,9408,118013952,7,7,2,2"
    assert sum(int(line.split(",")[3]) for line in lines[1:]) == 25_557_032
    assert sum(int(line.split(",")[4]) for line in lines[1:]) == 4_089_184_256
    assert not (own_project / "mlflow.db").exists()


def test_classes_can_be_said(kedro: Kedro) -> None:
    result = kedro("describe-model", "data=imagenet", "model=one_conv", "data.image_size=64", "--classes", "2")
    assert result.exit_code == 0
    assert "4,195,586" in result.stdout
    assert "assumed" not in result.stdout


@pytest.mark.slow
def test_a_network_that_cannot_be_built_without_memory_is_built_with_it(kedro: Kedro) -> None:
    result = kedro("describe-model", "data=imagenet", "model=torchvision", "model.name=regnet_y_400mf")
    assert result.exit_code == 0
    assert "4,344,144" in result.stdout
    assert "regnet_y_400mf of torchvision" in result.stdout


def test_two_3x3_against_one_5x5(kedro: Kedro) -> None:
    result = kedro("describe-model", "--compare", "5", "3,3", "--channels", "64", "--side", "56")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[3:5] == ["5x5 5 102,464 321,126,400", "3x3, 3x3 5 73,856 231,211,008"]
    assert lines[-1] == "The second has 72 % of the parameters and 72 % of the multiply-adds."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=lenet6"], "did you mean 'lenet5'?"),
        (["model=alexnet"], "takes pictures of 63x63 pixels or more"),
        (["--compare", "4", "3,3"], "--compare '4' is no stack of kernels; write odd sides"),
        (["--compare", "5", "3,,3"], "--compare '3,,3' is no stack of kernels"),
        (["model=lenet5", "--compare", "5", "3,3"], "--compare stands alone"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(kedro: Kedro, words: list[str], message: str) -> None:
    result = kedro("describe-model", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
