"""What this process may use of the machine: cores and memory, also inside a container."""

from __future__ import annotations

import math
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Cores that this process may run on, by its affinity and by the CPU quota of its control groups; at least 1.

    Args:
        root: Where `/proc` and `/sys` begin.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    for group in _groups(root):
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (group / "cpu.max").read_text().split()
            cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def available_memory(root: Path = _ROOT) -> int:
    """Bytes that can be taken without swapping, by the machine's state and the limits of process and control groups.

    Args:
        root: Where `/proc` and `/sys` begin.
    """
    return max(0, min([_machine(root), *_limits(root), *_own_limits(root)]))


def process_memory(name: str, root: Path = _ROOT) -> int:
    """Bytes of this process.

    Args:
        name: As in `/proc/self/status`: `VmRSS` what it holds, `VmHWM` the most that it ever held, `VmSize` and
            `VmData` what it has reserved.
        root: Where `/proc` begins.

    Returns:
        Where there is no `/proc`, the most that the process ever held.
    """
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def local_ranks(world_size: int) -> int:
    """Training processes on this machine: what torchrun says, else all of them."""
    said = os.environ.get("LOCAL_WORLD_SIZE", "")
    return int(said) if said.isdigit() and int(said) else world_size


def _machine(root: Path) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    # Elsewhere than on Linux: half of what is built in.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _limits(root: Path) -> Iterator[int]:
    for group in _groups(root):
        with suppress(OSError, ValueError):
            limit = int((group / "memory.max").read_text())
            yield limit - int((group / "memory.current").read_text()) + _reclaimable(group)
    first = root / "sys/fs/cgroup/memory"  # version 1 of control groups
    with suppress(OSError, ValueError):
        limit = int((first / "memory.limit_in_bytes").read_text())
        yield limit - int((first / "memory.usage_in_bytes").read_text()) + _reclaimable(first)


def _own_limits(root: Path) -> Iterator[int]:
    for kind, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - process_memory(name, root)


def _reclaimable(group: Path) -> int:
    """Bytes of files that the kernel keeps in memory and gives up when asked."""
    with suppress(OSError, ValueError, IndexError):
        for line in (group / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                return int(line.split()[1])
    return 0


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's control groups (version 2), from its own up to the top."""
    base = root / "sys/fs/cgroup"
    own = ""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                own = line[3:].strip("/")
    group = base / own
    while group != base:
        yield group
        group = group.parent
    yield base
