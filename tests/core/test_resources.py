from __future__ import annotations

import os
import resource

import pytest

from fovea.core.resources import available_memory, local_ranks, process_memory, usable_cores

KB, MB = 1024, 1024**2


@pytest.fixture
def machine(tmp_path):
    """A root folder with 8 GB of available memory, and a function that writes files below it."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    write(proc__meminfo=f"MemTotal: 1 kB\nMemAvailable: {8 * MB} kB\n", proc__self__cgroup="0::/user/job\n")
    return write


def test_memory_without_limits_is_the_machines(machine):
    assert available_memory(machine()) == 8 * MB * KB


def test_a_limit_of_a_group_or_of_one_above_it_counts(machine):
    top = "sys__fs__cgroup__user__"
    root = machine(
        **{
            f"{top}memory_dot_max": f"{3000 * MB}\n",
            f"{top}memory_dot_current": f"{1500 * MB}\n",
            f"{top}memory_dot_stat": f"anon 1\ninactive_file {500 * MB}\n",
            f"{top}job__memory_dot_max": "max\n",
        }
    )
    assert available_memory(root) == 2000 * MB


def test_a_limit_of_the_older_kind_counts(machine):
    top = "sys__fs__cgroup__memory__memory_dot_"
    root = machine(**{f"{top}limit_in_bytes": str(900 * MB), f"{top}usage_in_bytes": str(1000 * MB)})
    assert available_memory(root) == 0


def test_without_proc_it_is_half_of_what_is_built_in(tmp_path):
    built_in = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available_memory(tmp_path) == built_in // 2


@pytest.mark.parametrize(("quota", "cores"), [("150000 100000", 2), ("20000 100000", 1), ("max 100000", 6)])
def test_cores_are_those_of_affinity_and_quota(machine, monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert usable_cores(machine(sys__fs__cgroup__user__job__cpu_dot_max=quota + "\n")) == cores


def test_ranks_of_this_machine_are_what_torchrun_says(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert local_ranks(8) == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert local_ranks(8) == 4


def test_limits_of_the_process_count(machine, monkeypatch):
    limits = {resource.RLIMIT_AS: 3000 * MB, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], resource.RLIM_INFINITY))
    root = machine(proc__self__status=f"VmSize:\t {1000 * KB} kB\nVmRSS:\t {5 * KB} kB\n")
    assert available_memory(root) == 2000 * MB
    assert process_memory("VmRSS", root) == 5 * MB


def test_without_proc_the_memory_of_the_process_is_the_most_it_held(tmp_path):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert process_memory("VmRSS", tmp_path) in (peak * KB, peak)
