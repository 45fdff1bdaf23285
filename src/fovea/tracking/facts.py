"""Where a run comes from: the command, the code, the machine."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fovea.core.digest import data_digest
from fovea.core.errors import UserError
from fovea.core.places import project_root
from fovea.tracking.params import cut
from fovea.tracking.uri import without_secrets

_LONGEST_TAG = 4000
_OUTSIDE = ("tracking", "registry", "promote")


@dataclass(frozen=True)
class RunFacts:
    """What the caller knows of a run.

    Attributes:
        config: The composed config.
        choices: The member chosen of each config group.
        overrides: What the user wrote after the command; addresses lose their passwords.
        command: The command itself; the same.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    command: str = ""

    def __post_init__(self) -> None:
        # A password in an address that was typed is not for the run's tags.
        object.__setattr__(self, "overrides", tuple(map(without_secrets, self.overrides)))
        object.__setattr__(self, "command", without_secrets(self.command))

    def plain(self) -> dict[str, Any]:
        """As plain data, of which the same facts can be made."""
        return {
            "config": self.logged_config,  # without what may hold a password
            "choices": dict(self.choices),
            "overrides": list(self.overrides),
            "command": self.command,
        }

    @property
    def logged_config(self) -> dict[str, Any]:
        """The config without what says where the run is kept and what comes of it later, and not what it is."""
        return {key: value for key, value in self.config.items() if key not in _OUTSIDE}


def origin_tags(facts: RunFacts) -> dict[str, str]:
    """Tags that a run gets once, when it is opened."""
    config = facts.logged_config
    tags = {
        **{f"choice.{group}": str(member) for group, member in facts.choices.items() if member is not None},
        "overrides": " ".join(facts.overrides),
        "command": facts.command,
        "config_digest": data_digest(config) if config else "",
        "mlflow.user": _user(),
        "mlflow.source.name": facts.command or Path(sys.argv[0]).name,
        "mlflow.source.type": "LOCAL",
        "mlflow.note.content": _note(facts),
        **git_tags(),
        **_machine(),
    }
    return {name: cut(value, _LONGEST_TAG) for name, value in tags.items() if value}


def process_tags() -> dict[str, str]:
    """Tags of the process that works on a run now."""
    tags = {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "process": process_identity(os.getpid()),
        "dvc_stage": os.environ.get("DVC_STAGE", ""),
        "dvc_exp_name": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {name: value for name, value in tags.items() if value}


def process_identity(pid: int) -> str:
    """Names one process among all that ever had this number: host, process namespace, number, start time.

    An empty text means that there is no such process.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        space = started = "?"
    return f"{socket.gethostname()} {space} {pid} {started}"


def is_dead(identity: str) -> bool:
    """Whether a process that `process_identity` named on this machine is gone; False for other machines."""
    words = identity.split()
    if len(words) != 4 or is_elsewhere(identity) or not words[2].isdigit():
        return False
    return process_identity(int(words[2])) != identity


def is_elsewhere(identity: str) -> bool:
    """Whether `process_identity` named a process of another machine or container, of which nothing is known here."""
    mine, theirs = process_identity(os.getpid()).split(), identity.split()
    return len(theirs) == 4 and theirs[:2] != mine[:2]


def git_tags() -> dict[str, str]:
    """The commit, and whether the code or the config differ from it; nothing outside a repository."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    changes = _git("status", "--porcelain", "--", "src", "conf", "pyproject.toml")
    return {
        "mlflow.source.git.commit": commit,
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
    }


def environment() -> str:
    """The installed packages, a line each; read from the names of their folders, which takes a millisecond."""
    names: set[str] = set()
    for folder in sys.path:
        with suppress(OSError):
            names.update(path.stem for path in Path(folder).glob("*.dist-info"))
    return "".join(f"{name.replace('-', '==', 1)}\n" for name in sorted(names, key=str.lower))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=project_root(),
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UserError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _machine() -> dict[str, str]:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu(),
        "cores": str(count),
        "gpu": _gpus(),
        "python": platform.python_version(),
        "torch": _version("torch"),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ""
    return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _note(facts: RunFacts) -> str:
    lines = ["Made by", f"\n    {facts.command}\n"] if facts.command else []
    if facts.choices:
        chosen = ", ".join(f"{group}={member}" for group, member in facts.choices.items() if member is not None)
        lines.append(f"with {chosen}.")
    return "\n".join(lines)
