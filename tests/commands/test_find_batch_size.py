"""`kedro find-batch-size` on the embedded digits, in a project of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Kedro = Callable[..., Result]


@pytest.fixture(autouse=True)
def _root(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEA_ROOT", str(own_project))


@pytest.mark.slow
def test_it_tells_memory_and_speed_of_each_size_and_prints_an_override(kedro: Kedro, own_project: Path) -> None:
    result = kedro("find-batch-size", "model=lenet5", "--seconds", "1", "trainer.threads=1")
    assert result.exit_code == 0, result.output
    head, *rows, largest, fastest, override = result.stdout.splitlines()
    assert head.split() == ["batch", "memory", "pictures/s"]
    assert [row.split()[0] for row in rows[:2]] == ["2", "4"]
    memory = [float(row.split()[1]) for row in rows]
    assert all(0 < value < 2 for value in memory)
    # A small network: all of the 3,594 training pictures that a power of two reaches.
    assert largest.startswith("2,048: as many as the 3,594 training pictures allow, ")
    assert int(fastest.partition(":")[0]) <= 2048
    assert override == "loader.batch_size=2048"
    assert {path.name for path in (own_project / "data").iterdir()} == {"01_raw", "03_primary"}
    assert not (own_project / "mlflow.db").exists()


def test_a_mistake_is_told_in_one_sentence(kedro: Kedro) -> None:
    result = kedro("find-batch-size", "loss.distill.teacher=nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_single_picture_gives_no_batch_size(kedro: Kedro, tmp_path: Path) -> None:
    from PIL import Image

    for place in ("train/a", "train/b", "val/a", "val/b", "test/a", "test/b"):
        (tmp_path / "two" / place).mkdir(parents=True)
        noise = random.Random(place).randbytes(28 * 28 * 3)
        Image.frombytes("RGB", (28, 28), noise).save(tmp_path / "two" / place / "1.png")
    (tmp_path / "two" / "train" / "b" / "1.png").write_bytes(b"no picture")
    data = ["data=image_folder", f"data.folder={tmp_path / 'two'}", "data.image_size=28"]
    result = kedro("find-batch-size", *data, "prepare.max_bad_fraction=0.9")
    assert result.exit_code == 2, result.output
    assert "has 1 training pictures, and a batch size is found with at least 2" in result.stderr
