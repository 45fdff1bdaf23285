"""Makes `.venv` from `requirements.lock` and keeps it so. Started by scripts/setup.sh; needs only the standard library.

A stamp inside `.venv` says what was installed. As long as it matches, nothing is done. If it says that packages are
being installed, that was cut off, and `.venv` is made anew: pip takes a half-written package for a whole one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
LOCK = ROOT / "requirements.lock"
FITS = ("3.11", "3.12", "3.13")
REMINDER_SECONDS = 60.0


def say(text: str) -> None:
    print(f"make: {text}", file=sys.stderr, flush=True)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wanted() -> dict[str, str]:
    return {"root": str(ROOT), "packages": sha256(LOCK), "project": sha256(ROOT / "pyproject.toml")}


def stamp() -> dict[str, str]:
    try:
        content = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_stamp(content: dict[str, str]) -> None:
    aside = STAMP.with_suffix(".tmp")
    aside.write_text(json.dumps(content, indent=2) + "\n")
    aside.replace(STAMP)


def usable() -> bool:
    """Whether `.venv` has a Python of the right version, with pip."""
    asked = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([PYTHON, "-I", "-c", asked], capture_output=True, text=True, check=False)
    except OSError:
        return False
    version = done.stdout.strip()
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    return done.returncode == 0 and version in (FITS if not os.environ.get("PYTHON") else (mine,))


@contextmanager
def one_at_a_time() -> Iterator[int]:
    """Holds a lock on the lock file itself, which is there anyway, so that nothing is left behind."""
    with LOCK.open("r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another make is installing into .venv; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream.fileno()


def pip(arguments: list[str], lock: int) -> None:
    """Runs pip in `.venv`, with a line a minute. The lock goes along: it lives as long as pip does."""
    options = ["-qq", "--disable-pip-version-check", "--no-input"]
    command = [str(PYTHON), "-I", "-m", "pip", "install", *options, *arguments]
    environment = {**os.environ, "PIP_USER": "0"}
    started = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[lock]) as process:
        while True:
            try:
                code = process.wait(timeout=REMINDER_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"still installing ({(time.monotonic() - started) / 60:.0f} min)")
    if code:
        say("the installation failed (pip says why above); mend it and run the same command again")
        sys.exit(1)


def make_venv() -> None:
    say(f"making .venv with Python {sys.version.split()[0]}")
    try:
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        say(f".venv could not be made ({error}); make sure that the folder is writable and that the disk has room")
        sys.exit(1)


def install(lock: int) -> None:
    target, found = wanted(), stamp()
    if found == target and usable():
        return
    moved = found.get("root", target["root"]) != target["root"]
    if moved and VENV.is_symlink():
        say(f".venv is a link to the environment of {found['root']}, which stays as it is; remove the link, run again")
        sys.exit(2)
    if moved or found.get("installing") == "packages" or not usable():
        make_venv()
        found = {}
    if found.get("packages") != target["packages"]:
        count = sum(1 for line in LOCK.read_text().splitlines() if line[:1].isalnum())
        say(f"installing {count} packages from requirements.lock into .venv: about 3 GB to download, some minutes")
        write_stamp({"root": target["root"], "installing": "packages"})
        pip(["--require-hashes", "--requirement", str(LOCK)], lock)
    write_stamp({**target, "project": "", "installing": "project"})
    pip(["--no-build-isolation", "--no-deps", "--editable", str(ROOT)], lock)
    write_stamp(target)
    say(".venv is ready")


def main() -> None:
    if stamp() == wanted() and usable():
        return
    with one_at_a_time() as lock:
        install(lock)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("interrupted; the same command starts the installation again")
        sys.exit(130)
