"""Which of the processes this one is."""

from __future__ import annotations

import pytest

from fovea.core.errors import UserError
from fovea.training.ranks import ALONE, Ranks


def test_a_process_that_nobody_started_is_alone() -> None:
    assert Ranks.here({}) == ALONE
    assert ALONE.is_first
    assert ALONE.nodes == 1


def test_torchrun_says_it() -> None:
    said = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "SLURM_STEP_NUM_TASKS": "2"}
    ranks = Ranks.here(said)
    assert ranks == Ranks(5, 1, 8, 4)
    assert ranks.nodes == 2
    assert not ranks.is_first


def test_srun_says_it() -> None:
    said = {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS_PER_NODE": "2"}
    assert Ranks.here(said) == Ranks(3, 1, 4, 2)


def test_a_batch_script_of_slurm_is_no_process_of_a_training() -> None:
    assert Ranks.here({"SLURM_PROCID": "0", "SLURM_JOB_ID": "12"}) == ALONE


@pytest.mark.parametrize("said", [{"RANK": "x", "WORLD_SIZE": "2"}, {"RANK": "2", "WORLD_SIZE": "2"}])
def test_nonsense_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(UserError):
        Ranks.here(said)
