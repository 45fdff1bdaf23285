from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fovea.augment import Mix
from fovea.core.errors import RunError
from fovea.loading import Batch
from fovea.training import out_of_memory
from fovea.training.footprint import Footprint, Line, Step, power_of_two
from fovea.training.job import TrainJob
from fovea.training.out_of_memory import advice, is_out_of_memory, memory_told
from fovea.training.trial import repeated

MakeJob = Callable[..., TrainJob]
GB = 10**9


def steps(*rates: float, fixed: int = 100, each: int = 10) -> tuple[Step, ...]:
    """Steps of 2, 4, 8, ... pictures at so many pictures a second."""
    sizes = [2 ** (place + 1) for place in range(len(rates))]
    return tuple(Step(size, fixed + each * size, size / rate) for size, rate in zip(sizes, rates, strict=True))


def footprint(made: tuple[Step, ...], available: int, refused: int | None = None) -> Footprint:
    return Footprint(made, Line.through(made, 1.0), available, refused)


def test_a_line_is_found_and_read_both_ways() -> None:
    line = Line.through(steps(1, 1, 1), least=1.0)
    assert (line.fixed, line.each) == (pytest.approx(100), pytest.approx(10))
    assert line.needed(64) == pytest.approx(740)
    assert line.fitting(755) == 65
    assert line.fitting(50) == 0


def test_where_noise_is_larger_than_growth_a_picture_takes_what_its_pixels_take() -> None:
    made = (Step(2, 500, 1.0), Step(4, 480, 1.0))
    assert Line.through(made, least=7.0).each == 7.0


@pytest.mark.parametrize(("most", "largest"), [(0, 0), (1, 1), (63, 32), (64, 64), (3594, 2048)])
def test_powers_of_two(most: int, largest: int) -> None:
    assert power_of_two(most) == largest


def test_the_largest_is_reckoned_below_nine_tenths_of_the_memory() -> None:
    found = footprint(steps(1, 1), available=1000)  # 100 + 10 n <= 900: 80 pictures
    assert found.largest(10_000) == 64
    assert found.largest(40) == 32


def test_a_size_that_was_tried_in_vain_overrules_the_line() -> None:
    assert footprint(steps(1, 1, 1), available=10**9, refused=16).largest(10_000) == 8
    assert Footprint((), Line(0.0, 1.0), 10**9, refused=2).largest(10_000) == 0


@pytest.mark.parametrize(
    ("rates", "size"), [((10, 20, 30, 31), 8), ((10, 9, 9), 2), ((10, 10.4, 10.8, 11.3), 8), ((1, 2, 4), 8)]
)
def test_beyond_the_fastest_none_is_five_percent_faster(rates: tuple[float, ...], size: int) -> None:
    assert footprint(steps(*rates), available=1000).fastest() == size


@pytest.mark.parametrize("size", [3, 4, 11])
def test_a_repeated_batch_is_whole_at_any_size(size: int) -> None:
    mix = Mix(torch.tensor([3, 2, 1, 0]), torch.full((4,), 0.5), torch.zeros(4, 4, dtype=torch.int64))
    batch = Batch(torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1), torch.arange(4), torch.arange(4), mix)
    made = repeated(batch, size)
    assert made.labels.tolist() == [row % 4 for row in range(size)]
    assert made.images.flatten().tolist() == made.labels.tolist()
    assert made.mix is not None
    assert made.mix.boxes.shape == (size, 4)
    assert int(made.mix.partner.max()) < size


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_memory_are_known(error: BaseException, answer: bool) -> None:
    assert is_out_of_memory(error) is answer


@pytest.mark.parametrize(
    ("available", "sentence"),
    [
        (
            10 * GB,
            "a step needs about 41.0 GB and 10.0 GB are available; about loader.batch_size=512 fits, with "
            "trainer.accumulate_batches=24 for the same step",
        ),
        (GB, "a step needs about 41.0 GB and 1.0 GB are available, too few for any batch; take a smaller network"),
        (50 * GB, "a step needs about 41.0 GB and 50.0 GB are available, so something else took it; end other"),
    ],
)
def test_the_sentence_names_the_batch_that_would_fit(make_job: MakeJob, available: int, sentence: str) -> None:
    job = make_job(loader={"batch_size": 4096}, trainer={"accumulate_batches": 3})
    assert advice(job, Footprint((), Line(1.0 * GB, 40 * GB / 4096), available, None)).startswith(sentence)


def test_where_nothing_can_be_measured_half_the_batch_is_named(
    make_job: MakeJob, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Footprint:
        raise RunError("a trial of a training step failed")

    monkeypatch.setattr(out_of_memory, "measure", fails)
    with pytest.raises(RunError) as told, memory_told(make_job(loader={"batch_size": 64}), squares):
        raise MemoryError
    assert str(told.value) == (
        "out of memory with loader.batch_size=64; half of it with trainer.accumulate_batches=2 is the same step"
    )


def test_other_errors_pass(make_job: MakeJob, squares: Any) -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_told(make_job(), squares):
        raise RuntimeError("shapes")
